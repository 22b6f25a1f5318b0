"""A replay shard's ring file as a numpy array, oldest row first: read_ring(path)["s"]. Sums are not verified."""
import numpy as np


def read_ring(path):
    head = np.fromfile(path, [("magic", "S8"), ("layout", "<u4"), ("S", "<u4"), ("A", "<u4"), ("row_bytes", "<u4"),
                              ("capacity", "<u8"), ("run", "<u8"), ("id", "<u8")], 1)[0]
    assert head["magic"] == b"softqrng" and head["layout"] == 1, path + ": not a ring file of layout 1"
    S, A = int(head["S"]), int(head["A"])
    row = [(name, "<u8") for name in ("number", "actor", "epoch", "seq", "index", "version")]
    row += [("s", "<f4", S), ("a", "<f4", A), ("r", "<f4"), ("next", "<f4", S), ("flags", "<u4"), ("crc", "<u4")]
    row += [("pad", "V%d" % (head["row_bytes"] - 48 - 4 * (2 * S + A + 3)))]
    rows = np.memmap(path, row, "r", 4096, int(head["capacity"]))
    rows = rows[(rows["crc"] != 0) & (rows["number"] % head["capacity"] == np.arange(len(rows)))]  # 0: no row here
    end = (rows["number"][rows["flags"] & 256 != 0] + 1).max(initial=0)  # behind it: a batch that was cut off
    rows = rows[(rows["number"] < end) & (rows["number"] + head["capacity"] >= end)]
    return rows[np.argsort(rows["number"])]
