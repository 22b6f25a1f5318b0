#!/usr/bin/env python3
"""The table of tests/bench.sh, and bench.json.

    table.py RECORDS BENCH_JSON [LEAST]

RECORDS: a line a measurement, by tabs: part, row, unit, who, kind (ours, limit,
gate, peer, note), round, value; value is a reason where nothing was measured.
Of each row and who: minimum, median and maximum over the rounds, and how ours
compares in the same rounds: ours / theirs, and theirs / ours for a time (a unit
of s, ms or us). Exits 1 where a gate's median is below LEAST: a gate is a limit
that ours must come near.
"""

import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import time

TIMES = {"s", "ms", "us"}
ORDER = {"ours": 0, "gate": 1, "limit": 1, "peer": 2, "note": 3}


def first_line(*command):
    if not shutil.which(command[0]):
        return None
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    return (done.stdout.splitlines() or [None])[0] if done.returncode == 0 else None


def field_of(path, name):
    try:
        with open(path, encoding="utf-8") as lines:
            for line in lines:
                if line.startswith(name):
                    return line.split(":", 1)[1].strip()
    except OSError:
        pass
    return None


def content(path):
    try:
        with open(path, encoding="utf-8") as file:
            return file.read().strip()
    except OSError:
        return None


def machine():
    model = field_of("/proc/cpuinfo", "model name") or platform.machine()
    flags = (field_of("/proc/cpuinfo", "flags") or "").split()
    vectors = [f for f in ("avx2", "avx512f") if f in flags]
    return {
        "cpu": model,
        "vectors": " ".join(vectors),
        "cores": len(os.sched_getaffinity(0)),
        "l2": content("/sys/devices/system/cpu/cpu0/cache/index2/size"),
        "memory": field_of("/proc/meminfo", "MemTotal"),
        "kernel": platform.release(),
        "compiler": first_line(os.environ.get("CC", "cc"), "--version"),
        "blas": first_line("pkg-config", "--modversion", "openblas"),
        "blas_core": os.environ.get("BENCH_BLAS_CORE"),
        "mujoco": os.environ.get("BENCH_MUJOCO"),
        "load": os.environ.get("BENCH_LOAD"),
        "time": time.strftime("%Y-%m-%d %H:%M"),
    }


def spread(values):
    return [min(values), statistics.median(values), max(values)]


def read(path):
    """{(part, row, unit): {who: {kind, values {round: x}, why}}}, in order."""
    rows = {}
    with open(path, encoding="utf-8") as lines:
        for line in lines:
            part, row, unit, who, kind, turn, value = line.rstrip("\n").split("\t")
            entry = rows.setdefault((part, row, unit), {}).setdefault(
                who, {"kind": kind, "values": {}, "why": None}
            )
            try:
                entry["values"][turn] = float(value)
            except ValueError:
                entry["why"] = value
    return rows


def summary(rows):
    """The table's rows as JSON holds them."""
    out = []
    for (part, row, unit), entries in rows.items():
        ours = next((e for e in entries.values() if e["kind"] == "ours"), None)
        in_order = sorted(entries.items(), key=lambda e: ORDER[e[1]["kind"]])
        for who, entry in in_order:
            values = entry["values"]
            line = {"part": part, "row": row, "unit": unit, "who": who}
            line |= {"kind": entry["kind"], "why": entry["why"]}
            if values:
                line["rounds"] = list(values.values())
                line["min"], line["median"], line["max"] = spread(values.values())
            if values and ours and entry["kind"] in ("limit", "gate", "peer"):
                both = values.keys() & ours["values"].keys()
                pairs = [(ours["values"][turn], values[turn]) for turn in both]
                if unit in TIMES:
                    pairs = [(theirs, mine) for mine, theirs in pairs]
                if pairs and all(theirs > 0 for _, theirs in pairs):
                    line["ratio"] = spread([mine / theirs for mine, theirs in pairs])
            out.append(line)
    return out


def number(x):
    return f"{x:.3g}" if abs(x) < 1000 else f"{x:,.0f}"


def three(values):
    return " ".join(f"{number(x):>11}" for x in values)


def show(lines):
    names = ("minimum", "median", "maximum")
    head = f"{'':<34} {'':>9} " + " ".join(f"{n:>11}" for n in names)
    print(head + "   ours to theirs: min median max")
    last = None
    for line in lines:
        if (line["part"], line["row"]) != last:
            last = line["part"], line["row"]
            print(f"{line['part']}: {line['row']}")
        text = f"  {line['who']:<32} {line['unit']:>9} "
        if "median" in line:
            text += three([line["min"], line["median"], line["max"]])
        if line["why"]:
            text += f" not measured: {line['why']}"
        if "ratio" in line:
            text += "  " + " ".join(f"{x:7.2f}" for x in line["ratio"])
        print(text)


def main():
    records, path, least = sys.argv[1], sys.argv[2], float((sys.argv[3:] or [0])[0])
    lines, here = summary(read(records)), machine()
    with open(path, "w", encoding="utf-8") as file:
        json.dump({"machine": here, "results": lines}, file, indent=1)
        file.write("\n")
    for name, value in here.items():
        print(f"# {name}: {value or 'unknown'}")
    show(lines)
    gates = [line for line in lines if line["kind"] == "gate" and "ratio" in line]
    missed = [line for line in gates if line["ratio"][1] < least]
    for line in missed:
        print(
            f"MISSED: {line['row']}: {line['ratio'][1]:.3f} of {line['who']}, "
            f"wanted {least} or more"
        )
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
