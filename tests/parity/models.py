"""The compiled models: ours against Gymnasium's, every number that physics reads.

    models.py FOLDER    a line a task: `ok NAME` or `not ok NAME: fields`

FOLDER is actor/models. Names and looks may differ; the rest of mjModel has the
same shape and is within 1e-9 of theirs (1 + |theirs|).
"""

import pathlib
import re
import sys

import mujoco
import numpy as np

from tasks import TASKS, case, model_file, report

# how it looks and what it is called, and sizes that follow from those
LOOKS = re.compile(
    r"(tex|mat|cam|light|vis|skin|numeric|text|tuple|key)(_|$)|"
    r"n(tex|mat|cam|light|skin|numeric|text|tuple|key)[a-z]*$|"
    r"n?names|name_|n?paths|nbuffer|narena|nuser_|n?signature|"
    r".*_(rgba|user|group|matid|sameframe)$|site_size|stat$|opt$"
)
# hash of names; what the reader kept of the memory that the file asks for
LOOKS_TOO = {"nnames_map", "names_map", "nuserdata", "nstack", "njmax", "nconmax"}


def numbers(model):
    """name -> array of all that counts."""
    found = {}
    for prefix, thing in (("", model), ("opt.", model.opt)):
        for name in dir(thing):
            if name.startswith("_") or name in LOOKS_TOO:
                continue
            if not prefix and LOOKS.match(name):
                continue
            value = getattr(thing, name)
            if isinstance(value, (int, float, np.ndarray)):
                found[prefix + name] = np.asarray(value, dtype=float)
    found["stat.meaninertia"] = np.asarray(model.stat.meaninertia)
    return found


def differences(ours, theirs):
    for name in sorted(ours.keys() | theirs.keys()):
        a, b = ours[name], theirs[name]
        if a.shape != b.shape:
            yield f"{name} {a.shape} instead of {b.shape}"
        elif a.size and not np.all(np.abs(a - b) <= 1e-9 * (1 + np.abs(b))):
            at = np.unravel_index(np.argmax(np.abs(a - b)), a.shape)
            yield f"{name}{list(map(int, at))} {a[at]:.12g} instead of {b[at]:.12g}"


def main():
    folder = pathlib.Path(sys.argv[1])
    passed = True
    for task, (_, theirs) in TASKS.items():
        ours = mujoco.MjModel.from_xml_path(str(folder / f"{task}.xml"))
        compared = numbers(mujoco.MjModel.from_xml_path(model_file(theirs)))
        wrong = "; ".join(differences(numbers(ours), compared))
        count = sum(a.size for a in compared.values())
        passed &= report(
            case("our_model_compiles_to_the_same_numbers", task),
            wrong,
            f"{count} numbers in {len(compared)} fields",
        )
    sys.exit(not passed)


main()
