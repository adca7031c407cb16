/** A block of code with its language and a button that copies it. */
import { copyText } from "../clipboard.ts";

/** `outer` is the block, `inner` the element that takes the code. */
export function codeBlock(): { outer: HTMLElement; inner: HTMLElement } {
  const outer = make("figure", "code");
  const head = make("figcaption", "code-head");
  const pre = make("pre", "code-body");
  pre.tabIndex = 0;
  const inner = document.createElement("code");
  const language = make("span", "code-language");
  language.textContent = "code";
  head.append(language, copyButton(() => inner.textContent));
  pre.append(inner);
  outer.append(head, pre);
  return { outer, inner };
}

/** Names the language of the block that `code` is in. */
export function labelCode(code: HTMLElement, language: string): void {
  const label = code.closest(".code")?.querySelector(".code-language");
  if (label && language.trim() !== "") label.textContent = language.trim();
}

function copyButton(text: () => string): HTMLElement {
  const button = make("button", "code-copy") as HTMLButtonElement;
  button.type = "button";
  button.textContent = "Copy";
  button.setAttribute("aria-label", "Copy code");
  button.addEventListener("click", async () => {
    button.textContent = await copyText(text()) ? "Copied" : "Not copied";
    setTimeout(() => button.textContent = "Copy", 1500);
  });
  return button;
}

function make(name: string, className: string): HTMLElement {
  const made = document.createElement(name);
  made.className = className;
  return made;
}
