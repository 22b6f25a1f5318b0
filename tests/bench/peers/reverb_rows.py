"""What Reverb takes, in the shape of tests/bench/bench_shard.c.

    reverb_rows.py insert|both|sample SECONDS PORT

A server of one uniform table of a million items; two writers, each with 4096
items unanswered at most (16 messages of 256); a learner that draws minibatches
of 64 items. An item is one transition of 265 bytes, as in our messages, in one
uint8 column: fewer columns cost Reverb less. both: at most 2,000 minibatches a
second, as there. sample: of what a second of writing stored. Prints one object
with bench_shard's names: rows_per_s, minibatches_per_s.
"""

import importlib.metadata
import json
import multiprocessing
import sys
import time

import numpy as np

ROW_BYTES, BATCH, WINDOW, WRITERS, MINIBATCH = 265, 256, 16, 2, 64
TABLE, CAPACITY, FILL_SECONDS = "rows", 1_000_000, 1


def serve(port, ready, over):
    import reverb
    import tensorflow as tf

    table = reverb.Table(
        TABLE,
        reverb.selectors.Uniform(),
        reverb.selectors.Fifo(),
        max_size=CAPACITY,
        rate_limiter=reverb.rate_limiters.MinSize(1),
        signature={"row": tf.TensorSpec((1, ROW_BYTES), tf.uint8)},
    )
    server = reverb.Server([table], port=port)
    ready.set()
    over.wait()
    server.stop()


def write(port, seconds, rows):
    import reverb

    row = {"row": np.zeros(ROW_BYTES, np.uint8)}
    done, client = 0, reverb.Client(f"localhost:{port}")
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
    rows.put(done)


def sample(port, seconds, rate):
    """Minibatches a second."""
    import reverb

    dataset = reverb.TrajectoryDataset.from_table_signature(
        f"localhost:{port}", TABLE, max_in_flight_samples_per_worker=4 * MINIBATCH
    ).batch(MINIBATCH)
    minibatches = iter(dataset)
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
    kind, seconds, port = sys.argv[1], float(sys.argv[2]), int(sys.argv[3])
    make = multiprocessing.get_context("spawn")
    ready, over, rows = make.Event(), make.Event(), make.Queue()
    server = make.Process(target=serve, args=(port, ready, over))
    server.start()
    ready.wait(60)
    writing = FILL_SECONDS if kind == "sample" else seconds
    writers = [
        make.Process(target=write, args=(port, writing, rows)) for _ in range(WRITERS)
    ]
    for writer in writers:
        writer.start()
    minibatches = 0.0
    if kind == "both":
        minibatches = sample(port, seconds, 2000)
    stored = sum(rows.get() for _ in writers) / writing
    if kind == "sample":
        minibatches = sample(port, seconds, float("inf"))
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
