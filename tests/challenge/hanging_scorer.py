"""The scorer, but it never ends by itself."""

import sys
import time

from df2_landmarks.challenge.board import scorer

if __name__ == "__main__":
    scorer.run = lambda _: time.sleep(1000)
    sys.exit(scorer.main())
