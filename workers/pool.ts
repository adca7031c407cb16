/** The worker of a pool's server: its engine, with the routes through the pool's stages in the same thread. */
import { parentPort } from "node:worker_threads";
import { type JoinPool, servePool } from "../src/engine/pool_host.ts";
import type { OpenPool } from "../src/pipeline/messages.ts";
import { engineRoom, keptLogits } from "../src/pool/engine_room.ts";
import { Session, type SessionOptions } from "../src/pool/session.ts";

parentPort?.on(
  "message",
  (message: OpenPool<SessionOptions>) => servePool(message, join, (event) => parentPort?.postMessage(event)),
);

const join: JoinPool<SessionOptions> = async (options, hooks, signal) => {
  await using stack = new AsyncDisposableStack();
  const session = stack.use(await Session.join(options, hooks));
  const ready = await session.ready(signal);
  const { pipeline: runner } = session;
  const stages = ready.stages.map(({ info }) => info);
  const joined = stack.move();
  return {
    runner,
    stages,
    limits: engineRoom({ room: ready.room, stages }),
    get keptLogits() {
      return keptLogits(ready.room, stages.length, runner.sharing);
    },
    get status() {
      return session.status;
    },
    stop: () => session.stop(),
    [Symbol.asyncDispose]: () => joined[Symbol.asyncDispose](),
  };
};
