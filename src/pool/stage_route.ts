/** One route through a stage: where its messages come in, and where they go on to. */
import type { Link } from "../pipeline/link.ts";
import type { FromStage, ToStage } from "../pipeline/steps.ts";
import type { Outbound } from "../wire/wire.ts";
import type { HopStatus } from "../pipeline/pool_status.ts";
import type { StepQueue, Way } from "./step_queue.ts";

/** Time that a server has to connect a route that it has joined. */
const CONNECT_MILLIS = 15_000;

/** Messages of a route that may wait, and steps among them: far more than a server lets be under way, which are as many as a route has stages. */
const MOST_WAITING = 1000;
const MOST_STEPS = 128;

export class StageRoute implements Way {
  readonly session: string;
  readonly route: number;
  readonly #queue: StepQueue;
  readonly #inbound: Link<ToStage, never>;
  readonly #onEnd: (reason: string) => void;
  readonly #connecting: ReturnType<typeof setTimeout>;
  #onward: { readonly name: string; readonly out: Outbound<ToStage | FromStage> } | null = null;
  #claimed = false;
  #ended = false;

  /** `onEnd` hears once why it has ended. */
  constructor(
    session: string,
    route: number,
    queue: StepQueue,
    inbound: Link<ToStage, never>,
    onEnd: (reason: string) => void,
  ) {
    this.session = session;
    this.route = route;
    this.#queue = queue;
    this.#inbound = inbound;
    this.#onEnd = onEnd;
    this.#connecting = setTimeout(() => this.end("the server did not connect it"), CONNECT_MILLIS);
    void this.#listen();
  }

  get ended(): boolean {
    return this.#ended;
  }

  get connected(): boolean {
    return this.#onward !== null;
  }

  /** Null before it is connected. */
  get hop(): HopStatus | null {
    if (this.#onward === null) return null;
    const { name, out: { transport, roundTripMillis } } = this.#onward;
    return { route: this.route, to: name, transport, roundTripMillis };
  }

  /** Whether it may be connected, which is once: each try dials. */
  claim(): boolean {
    if (this.#claimed) return false;
    return this.#claimed = true;
  }

  /** From here on messages pass, to the stage of that id or the `server`. */
  connect(name: string, out: Outbound<ToStage | FromStage>): void {
    clearTimeout(this.#connecting);
    this.#onward = { name, out };
    void this.#watch(name, out.link);
  }

  send(message: ToStage | FromStage): void {
    if (this.#ended) return;
    try {
      this.#onward!.out.link.send(message);
    } catch (error) {
      this.end(`nothing can be sent on it: ${(error as Error).message}`);
    }
  }

  end(reason: string): void {
    if (this.#ended) return;
    this.#ended = true;
    clearTimeout(this.#connecting);
    this.#inbound[Symbol.dispose]();
    this.#onward?.out.link[Symbol.dispose]();
    this.#queue.leave(this);
    this.#onEnd(reason);
  }

  async #listen(): Promise<void> {
    for await (const message of this.#inbound) {
      if (this.#ended) return;
      if (!this.connected) return this.end("a message came before it was connected");
      this.#queue.push(this, message);
      const { messages, steps } = this.#queue.waitingOf(this);
      if (messages > MOST_WAITING || steps > MOST_STEPS) return this.end("more came than may be under way");
    }
    this.end("the link to it ended");
  }

  async #watch(name: string, link: AsyncIterable<never>): Promise<void> {
    for await (const _ of link);
    this.end(`the link to ${name === "server" ? "the server" : name} ended`);
  }
}
