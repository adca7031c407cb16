/** The one model that a server serves, and how its routes get at it. */
import type { z } from "@hono/zod-openapi";
import type { Chat } from "../chat/chat.ts";
import type { Tokenizer } from "../chat/tokenizer.ts";
import { ApiError } from "./errors.ts";
import type { Health, Model } from "./schema/service.ts";
import type { Traffic } from "./traffic.ts";

/** What the server needs of a loaded model. */
export interface ServedModel
  extends Pick<Chat, "stream" | "complete" | "promptTokens" | "failure" | "info" | "status"> {
  /** Null where the checkpoint has none. */
  readonly tokenizer: Pick<Tokenizer, "encode" | "decode"> | null;
}

export interface ServedOptions {
  readonly name: string;
  /** Gives null until the model is warm. */
  readonly model: () => ServedModel | null;
  /** In one sentence what it waits for; null while nothing is missing. */
  readonly waiting?: () => string | null;
  readonly traffic: Traffic;
  /** The name of the model's folder. */
  readonly root?: string;
}

export class Served {
  readonly #created = seconds();
  readonly name: string;
  readonly root: string;
  readonly traffic: Traffic;
  readonly model: () => ServedModel | null;
  readonly #waiting: () => string | null;

  constructor({ name, model, waiting = () => null, traffic, root = name }: ServedOptions) {
    this.name = name;
    this.root = root;
    this.traffic = traffic;
    this.model = model;
    this.#waiting = waiting;
  }

  get health(): z.infer<typeof Health> {
    const waiting = this.#waiting();
    return { status: this.#status, ...(waiting !== null && { waiting_for: waiting }) };
  }

  get #status(): z.infer<typeof Health>["status"] {
    const model = this.model();
    if (this.traffic.draining) return "draining";
    if (model === null) return "loading";
    return model.failure ? "stopped" : this.#waiting() === null ? "ok" : "waiting";
  }

  /**
   * @param asked The name that a request gives; left out, and by "auto", it means the one there is.
   * @throws {ApiError} 404 for another model's name, 503 before the model is warm and after it has failed.
   */
  get(asked: string | null | undefined): ServedModel {
    this.describe(asked);
    const model = this.model();
    if (model?.failure) throw new ApiError(503, "The model has stopped: restart the server", { code: "stopped" });
    if (model) return model;
    const why = this.#waiting() ?? "The model is still being loaded";
    throw new ApiError(503, `${why}: try again in a moment`, { code: "loading" });
  }

  /** @throws {ApiError} 404 for another model's name. */
  describe(asked: string | null | undefined): z.infer<typeof Model> {
    if (asked == null || [this.name, this.root, "auto"].includes(asked)) {
      const context = this.model()?.info.context;
      const length = context === undefined ? {} : { max_model_len: context };
      const owner = { created: this.#created, owned_by: "ringlet" };
      return { id: this.name, object: "model", ...owner, root: this.root, ...length };
    }
    const message = `The model ${JSON.stringify(asked.slice(0, 100))} is not served here: ask for ${this.name}`;
    throw new ApiError(404, message, { param: "model", code: "model_not_found" });
  }

  /** Opens an answer: its own id, and what all its parts share. */
  head(prefix: string) {
    return { id: `${prefix}${crypto.randomUUID().replaceAll("-", "")}`, model: this.name, created: seconds() };
  }
}

const seconds = () => Math.floor(Date.now() / 1000);
