"""The ground floor: what every room needs and no room owns.

* ``errors``: `UserError`, the one error that is a user's mistake.
* ``command_line``: the one way to run a command and to print.
* ``files``: files and folders that appear whole or not at all.
* ``archives``: zips that are the same bytes for the same content.
* ``input_files``: opening of plain, gzipped and zipped input, with its limits.
* ``parallel``: the process pool.
* ``progress``: the progress bar.
"""

from df2_landmarks.common.archives import write_zip, zip_member
from df2_landmarks.common.command_line import DISK_FULL, positive, printable, run_command, say
from df2_landmarks.common.errors import UserError
from df2_landmarks.common.files import (
    atomic_path,
    atomic_write,
    check_output_file,
    locked_folder,
    make_output_folder,
    remove_leftovers,
)
from df2_landmarks.common.input_files import (
    check_input_file,
    member_name,
    open_input,
    open_only_member,
)
from df2_landmarks.common.parallel import default_jobs, map_chunks, num_processors
from df2_landmarks.common.progress import progress_bar

__all__ = [
    "DISK_FULL",
    "UserError",
    "atomic_path",
    "atomic_write",
    "check_input_file",
    "check_output_file",
    "default_jobs",
    "locked_folder",
    "make_output_folder",
    "map_chunks",
    "member_name",
    "num_processors",
    "open_input",
    "open_only_member",
    "positive",
    "printable",
    "progress_bar",
    "remove_leftovers",
    "run_command",
    "say",
    "write_zip",
    "zip_member",
]
