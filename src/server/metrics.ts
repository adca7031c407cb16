/** What Prometheus may know: figures of requests, taken from their log entries, and of the engine, asked when they are read. */
import { Counter, Gauge, Histogram, Registry } from "prom-client";
import { PoolMetrics } from "./pool_metrics.ts";
import type { LogEntry } from "./request_log.ts";
import type { ServedModel } from "./served.ts";

/** Seconds until a first token or a whole answer. */
const LONG = [0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 25, 50, 100, 250, 500];
/** Seconds between tokens. */
const SHORT = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5];

/** Why a request was over, by a status that an answer may end with. */
const REASONS: Readonly<Record<number, string>> = {
  429: "refused",
  499: "client_left",
  503: "refused",
  504: "timeout",
};

export class Metrics {
  readonly #registry = new Registry();
  readonly #model: () => ServedModel | null;

  readonly #requests = this.#counter("requests_total", "Requests for an answer by how they ended", ["reason"]);
  readonly #responses = this.#counter("http_responses_total", "Responses by status; 499 where the client left", [
    "status",
  ]);
  readonly #promptTokens = this.#counter("prompt_tokens_total", "Tokens of prompts that were answered");
  readonly #cachedTokens = this.#counter("cached_tokens_total", "Tokens of prompts that the prefix cache gave");
  readonly #generatedTokens = this.#counter("generated_tokens_total", "Tokens of answers");
  readonly #firstToken = this.#histogram(
    "time_to_first_token_seconds",
    "From a request to its answer's first text",
    LONG,
  );
  readonly #eachToken = this.#histogram(
    "time_per_output_token_seconds",
    "Between tokens, the mean of an answer",
    SHORT,
  );
  readonly #whole = this.#histogram("request_seconds", "From a request to its answer's end", LONG);

  readonly #slots = this.#gauge("slots", "Sequences that may run at once");
  readonly #running = this.#gauge("sequences_running", "Sequences that have a slot");
  readonly #waiting = this.#gauge("sequences_waiting", "Sequences that wait for a slot");
  readonly #steps = this.#counter("engine_steps_total", "Passes through the model");
  readonly #rows = this.#counter("engine_rows_total", "Tokens that went through the model, of prompts and answers");
  readonly #preemptions = this.#counter(
    "preemptions_total",
    "Sequences that gave their memory to others, to be read again",
  );
  readonly #kept = this.#gauge("prefix_cache_bytes", "What is kept of prompts, by where", ["memory"]);
  readonly #hits = this.#counter("prefix_cache_hits_total", "Sequences that began from what is kept, by where it was", [
    "memory",
  ]);
  readonly #device = this.#gauge("device_memory_bytes", "What a stage keeps on its device", ["stage", "kind"]);
  /** Made once there is a pool. */
  #pool: PoolMetrics | null = null;
  readonly #resident = this.#gauge("process_resident_memory_bytes", "Memory of the process", [], "");

  constructor(model: () => ServedModel | null) {
    this.#model = model;
  }

  /** Counts a request that is over. */
  record({ status, millis, firstMillis, decodeMillis, completionTokens = 0, ...entry }: LogEntry): void {
    this.#responses.inc({ status });
    const reason = entry.finish ?? REASONS[status] ?? (status >= 500 ? "error" : null);
    if (entry.method !== "POST" || reason === null) return;
    this.#requests.inc({ reason });
    this.#promptTokens.inc(entry.promptTokens ?? 0);
    this.#cachedTokens.inc(entry.cachedTokens ?? 0);
    this.#generatedTokens.inc(completionTokens);
    if (firstMillis !== undefined) this.#firstToken.observe(firstMillis / 1000);
    if (decodeMillis !== undefined && completionTokens > 1) {
      this.#eachToken.observe(decodeMillis / 1000 / (completionTokens - 1));
    }
    if (entry.finish) this.#whole.observe(millis / 1000);
  }

  /** Everything in Prometheus' text format. */
  async text(): Promise<string> {
    this.#resident.set(Deno.memoryUsage().rss);
    const model = this.#model();
    if (model && !model.failure) await this.#ask(model);
    return await this.#registry.metrics();
  }

  get contentType(): string {
    return this.#registry.contentType;
  }

  /** An engine that stops meanwhile leaves the figures as they were. */
  async #ask(model: ServedModel): Promise<void> {
    const { stages, slots } = model.info;
    this.#slots.set(slots);
    for (const [stage, { weightBytes, stateBytes, cacheBytes }] of stages.entries()) {
      const kinds = { weights: weightBytes, states: stateBytes, kv_cache_at_most: cacheBytes };
      for (const [kind, bytes] of Object.entries(kinds)) this.#device.set({ stage, kind }, bytes);
    }
    const status = await model.status().catch(() => null);
    if (!status) return;
    this.#running.set(status.running);
    this.#waiting.set(status.waiting);
    if (status.pool) (this.#pool ??= new PoolMetrics(this.#registry)).set(status.pool);
    const counted = [[this.#steps, status.steps], [this.#rows, status.rows], [this.#preemptions, status.preemptions]];
    for (const [counter, value] of counted as [Counter, number][]) {
      counter.reset();
      counter.inc(value);
    }
    this.#hits.reset();
    for (const [memory, { bytes, hits }] of Object.entries(status.prefixCache)) {
      this.#kept.set({ memory }, bytes);
      this.#hits.inc({ memory }, hits);
    }
  }

  #counter<L extends string>(name: string, help: string, labelNames: L[] = []): Counter<L> {
    return new Counter({ name: `ringlet_${name}`, help, labelNames, registers: [this.#registry] });
  }

  #gauge<L extends string>(name: string, help: string, labelNames: L[] = [], prefix = "ringlet_"): Gauge<L> {
    return new Gauge({ name: `${prefix}${name}`, help, labelNames, registers: [this.#registry] });
  }

  #histogram(name: string, help: string, buckets: number[]): Histogram {
    return new Histogram({ name: `ringlet_${name}`, help, buckets, registers: [this.#registry] });
  }
}
