import { expect, it } from "vitest";
import { Loop } from "../src/loop.ts";

const FOREVER = 1_000_000;

/** A loop in which each turn waits until the test ends it with a result or an error. */
function heldLoop(interval: number) {
  const turns: PromiseWithResolvers<number | void>[] = [];
  const errors: unknown[] = [];
  let onTurn = Promise.withResolvers<void>();
  const loop = new Loop(
    () => {
      const turn = Promise.withResolvers<number | void>();
      turns.push(turn);
      onTurn.resolve();
      return turn.promise;
    },
    { interval, onError: (error) => errors.push(error) },
  );
  /** Resolves when this many turns have begun. */
  const begun = async (count: number): Promise<void> => {
    while (turns.length < count) {
      onTurn = Promise.withResolvers();
      await onTurn.promise;
    }
  };
  return { loop, turns, errors, begun };
}

it("a loop begins its first turn at once, and each further turn an interval after the previous one has ended, even after a failure", async () => {
  const { loop, turns, errors, begun } = heldLoop(1);
  expect(turns).toHaveLength(1);
  turns[0]?.resolve();
  await begun(2);
  turns[1]?.reject(new Error("The database is gone."));
  await begun(3);
  expect(errors).toEqual([new Error("The database is gone.")]);
  turns[2]?.resolve();
  await loop.stop();
});

it("a turn decides how long to wait, and a loop that is woken does not wait", async () => {
  const { loop, turns, begun } = heldLoop(FOREVER);
  turns[0]?.resolve(0);
  await begun(2);
  turns[1]?.resolve(FOREVER);
  await new Promise((resolve) => setImmediate(resolve));
  loop.wake();
  await begun(3);
  turns[2]?.resolve();
  await loop.stop();
});

it("a loop that is woken during a turn runs one more turn afterwards", async () => {
  const { loop, turns, begun } = heldLoop(FOREVER);
  loop.wake();
  loop.wake();
  expect(turns).toHaveLength(1);
  turns[0]?.resolve();
  await begun(2);
  turns[1]?.resolve();
  await loop.stop();
  expect(turns).toHaveLength(2);
});

it("stopping waits for the current turn, and no other turn begins", async () => {
  const { loop, turns } = heldLoop(0);
  let isStopped = false;
  const stopping = loop.stop().then(() => (isStopped = true));
  loop.wake();
  await new Promise((resolve) => setImmediate(resolve));
  expect(isStopped).toBe(false);
  turns[0]?.resolve();
  await stopping;
  loop.wake();
  expect(turns).toHaveLength(1);
});
