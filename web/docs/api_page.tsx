/** The API's description as a page: every operation, its request and its replies. */
import { useState } from "preact/hooks";
import type { Document, Operation } from "./openapi.ts";
import { SchemaView } from "./schema_view.tsx";

export function ApiPage({ document }: { readonly document: Document }) {
  const { title, version, description } = document.info;
  const operations = Object.entries(document.paths).flatMap(([path, methods]) =>
    Object.entries(methods).map(([method, operation]) => ({ path, method, operation }))
  );
  return (
    <main class="api">
      <h1>{title} {version}</h1>
      <p class="lead">
        {description ?? "The API"}, described in <a href="/openapi.json">openapi.json</a>. To talk with the model, go to
        {" "}
        <a href="/">the chat page</a>.
      </p>
      {operations.map((each) => <OperationView key={each.method + each.path} {...each} document={document} />)}
    </main>
  );
}

interface OperationViewProps {
  readonly path: string;
  readonly method: string;
  readonly operation: Operation;
  readonly document: Document;
}

function OperationView({ path, method, operation, document }: OperationViewProps) {
  const [open, setOpen] = useState(false);
  return (
    <details class="operation" onToggle={(event) => setOpen(event.currentTarget.open)}>
      <summary>
        <h2>
          <span class="method">{method.toUpperCase()}</span> <code>{path}</code>
        </h2>
        <span class="hint">{operation.summary}</span>
      </summary>
      {open && <Details operation={operation} document={document} />}
    </details>
  );
}

function Details({ operation, document }: Pick<OperationViewProps, "operation" | "document">) {
  const request = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
  return (
    <div class="operation-body">
      {request && <h3>Request</h3>}
      {request && <SchemaView schema={request} document={document} />}
      {Object.entries(operation.responses).map(([status, { description, content = {} }]) => (
        <section key={status}>
          <h3>
            {status} <span class="hint">{description}</span>
          </h3>
          {Number(status) < 400 && Object.entries(content).map(([type, { schema }]) => (
            <div key={type}>
              <p class="hint">{type}</p>
              {schema && <SchemaView schema={schema} document={document} />}
            </div>
          ))}
        </section>
      ))}
    </div>
  );
}
