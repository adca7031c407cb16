/** Copies a message. */
import { useState } from "preact/hooks";
import { copyText } from "../clipboard.ts";
import { CheckIcon, CopyIcon } from "./icons.tsx";

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }) {
  const [copied, setCopied] = useState(false);
  const copy = async () => {
    if (!await copyText(text)) return;
    setCopied(true);
    setTimeout(() => setCopied(false), 1500);
  };
  const label = copied ? "Copied" : `Copy ${what}`;
  return (
    <button type="button" class="icon-button" aria-label={label} title={copied ? "Copied" : "Copy"} onClick={copy}>
      {copied ? <CheckIcon /> : <CopyIcon />}
    </button>
  );
}
