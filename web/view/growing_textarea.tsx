/** A text field as high as its text, up to the limit that its style sets. */
import type { Ref } from "preact";
import { useEffect, useLayoutEffect, useRef } from "preact/hooks";

interface GrowingTextareaProps {
  readonly label: string;
  readonly value: string;
  readonly placeholder?: string;
  readonly id?: string;
  /** Takes the focus when it appears, with the cursor at the end. */
  readonly focused?: boolean;
  readonly onInput: (text: string) => void;
  readonly onKeyDown: (event: KeyboardEvent) => void;
}

export function GrowingTextarea({ label, focused = false, onInput, ...rest }: GrowingTextareaProps) {
  const area: Ref<HTMLTextAreaElement> & { current: HTMLTextAreaElement | null } = useRef<HTMLTextAreaElement>(null);
  useLayoutEffect(() => {
    const { style } = area.current!;
    style.height = "auto";
    style.height = `${area.current!.scrollHeight}px`;
  }, [rest.value]);
  useEffect(() => {
    if (!focused) return;
    area.current!.focus();
    area.current!.setSelectionRange(rest.value.length, rest.value.length);
  }, []);
  return (
    <textarea
      ref={area}
      class="growing"
      rows={1}
      aria-label={label}
      enterkeyhint="send"
      onInput={(event) => onInput(event.currentTarget.value)}
      {...rest}
    />
  );
}

/** Safari's key code of an Enter that ends the composition of a character; elsewhere `isComposing` tells. */
const COMPOSING = 229;

/** Enter alone, and not the one that ends a composition. */
export function sendsOnEnter(event: KeyboardEvent): boolean {
  return event.key === "Enter" && !event.shiftKey && !event.isComposing && event.keyCode !== COMPOSING;
}
