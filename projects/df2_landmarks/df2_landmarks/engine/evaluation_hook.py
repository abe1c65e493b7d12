"""Evaluation during training, and what follows from it: best checkpoint, early stop, pictures."""

from __future__ import annotations

import logging
import math
from collections.abc import Callable
from typing import Any

from detectron2.config import CfgNode
from detectron2.engine.hooks import EvalHook
from detectron2.utils import comm

from df2_landmarks.common import UserError
from df2_landmarks.engine.checkpoint import LandmarkCheckpointer
from df2_landmarks.engine.checkpoint_files import read_checkpoint
from df2_landmarks.engine.evaluation import TASKS, picture_sheets
from df2_landmarks.formats import VISIBLE_AND_OCCLUDED

logger = logging.getLogger(__name__)

BEST = "model_best"


class EarlyStop(BaseException):
    """The end of a training that no longer improves.

    It is not an `Exception`, since Detectron2 logs those as failures.
    """


class EvaluationHook(EvalHook):
    """Detectron2's `EvalHook` that also keeps the best model and stops a training without progress.

    The best model has the highest landmark AP under the protocol that the challenge ranks by, on
    the first data set of DATASETS.TEST. Its file, ``model_best.pth``, holds this AP and its
    iteration, so that a resumed training knows them.
    """

    def __init__(
        self,
        cfg: CfgNode,
        *,
        evaluate: Callable[[], dict[str, Any]],
        checkpointer: LandmarkCheckpointer,
        with_pictures: bool,
    ) -> None:
        """
        Args:
            cfg: configuration of the training.
            evaluate: evaluates `checkpointer.evaluated_model`; called by all processes.
            checkpointer: saves the best model.
            with_pictures: put pictures into the event storage, for TensorBoard.

        Raises:
            UserError: early stopping without evaluations.
        """
        self._patience = cfg.SOLVER.EARLY_STOPPING.PATIENCE
        if self._patience > 0 and cfg.TEST.EVAL_PERIOD <= 0:
            raise UserError(
                f"SOLVER.EARLY_STOPPING.PATIENCE is {self._patience} evaluations, but there are "
                "none during training: set TEST.EVAL_PERIOD to a number of iterations"
            )
        super().__init__(cfg.TEST.EVAL_PERIOD, self._evaluate)
        self._cfg = cfg
        self._evaluate_model = evaluate
        self._checkpointer = checkpointer
        self._with_pictures = with_pictures
        self._landmark_ap: float | None = None
        self._best_ap, self._best_iteration = -math.inf, 0

    def before_train(self) -> None:
        if self.trainer.start_iter > 0 and comm.is_main_process():
            self._best_ap, self._best_iteration = self._best_of_earlier_run()

    def _evaluate(self) -> dict[str, Any]:
        results = self._evaluate_model()
        if comm.is_main_process():
            self._put_pictures()
        self._landmark_ap = self._landmark_ap_of(results)
        return results

    def _do_eval(self) -> None:
        super()._do_eval()
        must_stop = self._keep_best() if comm.is_main_process() else False
        if any(comm.all_gather(must_stop)) and self.trainer.iter + 1 < self.trainer.max_iter:
            raise EarlyStop(
                f"Stopped early after iteration {self.trainer.iter + 1}: landmark AP has not risen "
                f"in {self._patience} evaluations (SOLVER.EARLY_STOPPING.PATIENCE). The best model "
                f"is in {self._checkpointer.path_of(BEST)}"
            )

    def _keep_best(self) -> bool:
        """Save the model if it is the best so far; return whether training must stop."""
        if self._period <= 0 or self._landmark_ap is None:
            return False
        # After the last iteration `iter` is `max_iter`.
        iteration = min(self.trainer.iter, self.trainer.max_iter - 1)
        if self._landmark_ap > self._best_ap:
            self._best_ap, self._best_iteration = self._landmark_ap, iteration
            extra = {"iteration": iteration, "landmark_ap": self._landmark_ap}
            self._checkpointer.save_weights(BEST, **extra)
            logger.info(f"{BEST}.pth: landmark AP {self._best_ap:.2f}, the best so far")
            return False
        since = (iteration - self._best_iteration) // self._period
        logger.info(
            f"Landmark AP {self._landmark_ap:.2f} is not above {self._best_ap:.2f} of iteration "
            f"{self._best_iteration + 1} ({since} evaluations ago), which {BEST}.pth holds"
        )
        return 0 < self._patience <= since

    def _landmark_ap_of(self, results: dict[str, Any]) -> float | None:
        """Landmark AP in percent; None without ground truth and in all but the main process."""
        if len(self._cfg.DATASETS.TEST) > 1:
            results = results.get(self._cfg.DATASETS.TEST[0], {})
        ap = results.get(TASKS[VISIBLE_AND_OCCLUDED], {}).get("AP", math.nan)
        return float(ap) if math.isfinite(ap) else None

    def _best_of_earlier_run(self) -> tuple[float, int]:
        path = self._checkpointer.path_of(BEST)
        if not path.is_file():
            return -math.inf, 0
        best = read_checkpoint(path)
        if "landmark_ap" not in best or "iteration" not in best:
            raise UserError(f"{path}: not the best model of a training; move it elsewhere")
        return best["landmark_ap"], best["iteration"]

    def _put_pictures(self) -> None:
        if not self._with_pictures:
            return
        sheets = picture_sheets(self._cfg, self._checkpointer.evaluated_model)
        for number, sheet in enumerate(sheets, 1):
            rgb = sheet[:, :, ::-1].transpose(2, 0, 1).copy()
            self.trainer.storage.put_image(f"landmarks/{number}", rgb)
