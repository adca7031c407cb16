/** What the server says of itself: the model and its health. */
import { z } from "@hono/zod-openapi";

export const Model = z.object({
  id: z.string(),
  object: z.literal("model"),
  created: z.int(),
  owned_by: z.string(),
  root: z.string().openapi({ description: "The name of the model's folder." }),
  max_model_len: z.int().optional().openapi({
    description: "Tokens of the context; left out until the model is warm.",
  }),
}).openapi("Model");

export const ModelList = z.object({ object: z.literal("list"), data: z.array(Model) }).openapi("ModelList");

export const Health = z.object({
  status: z.enum(["ok", "loading", "waiting", "draining", "stopped"]),
  waiting_for: z.string().optional().openapi({ description: "What is missing, where the stages of a pool compute." }),
}).openapi("Health");
