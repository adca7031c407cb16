/** How the server is, asked until it can answer. */
import { health, servedModel } from "../api/client.ts";
import { RequestFailure } from "../api/failure.ts";

export interface ServerState {
  readonly status: "connecting" | "loading" | "ready" | "stopped" | "locked" | "down";
  /** The served model's name; empty until it is known. */
  readonly model: string;
}

/** Milliseconds between two attempts. */
const PAUSE = 2000;

/** Each state that is found, up to `ready` or `locked`. */
export async function* untilReady(key: string, signal: AbortSignal): AsyncGenerator<ServerState> {
  while (!signal.aborted) {
    const state = await look(key);
    yield state;
    if (state.status === "ready" || state.status === "locked") return;
    await new Promise((resolve) => setTimeout(resolve, PAUSE));
  }
}

async function look(key: string): Promise<ServerState> {
  try {
    const model = await servedModel(key);
    const status = await health();
    return { status: status === "ok" ? "ready" : status === "stopped" ? "stopped" : "loading", model };
  } catch (error) {
    const locked = error instanceof RequestFailure && error.failure.kind === "locked";
    return { status: locked ? "locked" : "down", model: "" };
  }
}
