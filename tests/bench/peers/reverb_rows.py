"""What Reverb takes, in the shape of tests/bench/bench_shard.c.

    reverb_rows.py insert|both|sample trajectory|step SECONDS PORT

A server of one uniform table of a million items; two writers, each with 4096
items unanswered at most (16 messages of 256); a learner that draws minibatches
of 64 items. An item is one transition of 265 bytes, as in our messages, in one
uint8 column: fewer columns cost Reverb less. Server, writers and learner are
Reverb's clients in Python, a process each, on the same cores. trajectory: its
TrajectoryWriter and TrajectoryDataset. step: items of one step, by its older
Writer's append and create_item, and its TimestepDataset.
both: at most 2,000 minibatches a second, as there. sample: of what a second of
writing stored. Prints one object with bench_shard's names: rows_per_s,
minibatches_per_s.
"""

import importlib.metadata
import json
import multiprocessing
import sys
import time

import numpy as np

ROW_BYTES, BATCH, WINDOW, WRITERS, MINIBATCH = 265, 256, 16, 2, 64
TABLE, CAPACITY, FILL_SECONDS = "rows", 1_000_000, 1


def serve(port, api, ready, over):
    import reverb
    import tensorflow as tf

    shape = (1, ROW_BYTES) if api == "trajectory" else (ROW_BYTES,)
    table = reverb.Table(
        TABLE,
        reverb.selectors.Uniform(),
        reverb.selectors.Fifo(),
        max_size=CAPACITY,
        rate_limiter=reverb.rate_limiters.MinSize(1),
        signature={"row": tf.TensorSpec(shape, tf.uint8)},
    )
    server = reverb.Server([table], port=port)
    ready.set()
    over.wait()
    server.stop()


def write_trajectories(client, seconds):
    row, done = {"row": np.zeros(ROW_BYTES, np.uint8)}, 0
    with client.trajectory_writer(num_keep_alive_refs=1) as writer:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(BATCH):
                writer.append(row)
                last = {"row": writer.history["row"][-1:]}
                writer.create_item(TABLE, 1.0, last)
            writer.flush(block_until_num_items=WINDOW * BATCH)
            done += BATCH
        writer.flush()
    return done


def write_steps(client, seconds):
    row, done = {"row": np.zeros(ROW_BYTES, np.uint8)}, 0
    with client.writer(1, max_in_flight_items=WINDOW * BATCH) as writer:
        end = time.perf_counter() + seconds
        while time.perf_counter() < end:
            for _ in range(BATCH):
                writer.append(row)
                writer.create_item(TABLE, 1, 1.0)
            done += BATCH
        writer.flush()
    return done


def write(port, api, seconds, rows):
    import reverb

    run = write_trajectories if api == "trajectory" else write_steps
    rows.put(run(reverb.Client(f"localhost:{port}"), seconds))


def sample(port, api, seconds, rate):
    """Minibatches a second."""
    import reverb

    kinds = {"trajectory": reverb.TrajectoryDataset, "step": reverb.TimestepDataset}
    dataset = kinds[api].from_table_signature(
        f"localhost:{port}", TABLE, max_in_flight_samples_per_worker=4 * MINIBATCH
    )
    minibatches = iter(dataset.batch(MINIBATCH))
    next(minibatches)
    start, done = time.perf_counter(), 0
    while (now := time.perf_counter() - start) < seconds:
        if done > rate * now:
            time.sleep(1e-4)
            continue
        next(minibatches)
        done += 1
    return done / now


def main():
    kind, api, seconds, port = *sys.argv[1:3], float(sys.argv[3]), int(sys.argv[4])
    make = multiprocessing.get_context("spawn")
    ready, over, rows = make.Event(), make.Event(), make.Queue()
    server = make.Process(target=serve, args=(port, api, ready, over))
    server.start()
    ready.wait(60)
    writing = FILL_SECONDS if kind == "sample" else seconds
    writers = [
        make.Process(target=write, args=(port, api, writing, rows))
        for _ in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    minibatches = 0.0
    if kind == "both":
        minibatches = sample(port, api, seconds, 2000)
    stored = sum(rows.get() for _ in writers) / writing
    if kind == "sample":
        minibatches = sample(port, api, seconds, float("inf"))
    over.set()
    for process in (*writers, server):
        process.join()
    result = {
        "name": f"Reverb {importlib.metadata.version('dm-reverb')}",
        "kind": kind,
        "rows_per_s": MINIBATCH * minibatches if kind == "sample" else stored,
        "minibatches_per_s": minibatches,
    }
    print(json.dumps(result))


if __name__ == "__main__":
    main()
