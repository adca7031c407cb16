/** The properties of a schema's objects; what they hold unfolds. */
import { useState } from "preact/hooks";
import { bounds, type Document, objectsOf, type Schema, typeName } from "./openapi.ts";

interface SchemaViewProps {
  readonly schema: Schema;
  readonly document: Document;
}

export function SchemaView({ schema, document }: SchemaViewProps) {
  const objects = objectsOf(schema, document);
  if (objects.length === 0) return <p class="type">{typeName(schema)}</p>;
  return (
    <>
      {objects.map((object, index) => (
        <ul key={index} class="properties">
          {Object.entries(object.properties ?? {}).map(([name, property]) => (
            <Property
              key={name}
              name={name}
              schema={property}
              required={object.required?.includes(name) ?? false}
              document={document}
            />
          ))}
        </ul>
      ))}
    </>
  );
}

interface PropertyProps extends SchemaViewProps {
  readonly name: string;
  readonly required: boolean;
}

function Property({ name, schema, required, document }: PropertyProps) {
  const [open, setOpen] = useState(false);
  const notes = [required ? "required" : "", bounds(schema), schema.description ?? ""].filter((note) => note !== "");
  return (
    <li class="property">
      <code class="name">{name}</code> <span class="type">{typeName(schema)}</span>
      {notes.length > 0 && <span class="hint">· {notes.join(" · ")}</span>}
      {objectsOf(schema, document).length > 0 && (
        <details onToggle={(event) => setOpen(event.currentTarget.open)}>
          <summary aria-label={`more of ${name}`}>more</summary>
          {open && <SchemaView schema={schema} document={document} />}
        </details>
      )}
    </li>
  );
}
