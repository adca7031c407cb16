/** A number, or nothing for the server's default. */
import { useEffect, useId, useState } from "preact/hooks";

interface NumberFieldProps {
  readonly label: string;
  readonly value: number | null;
  readonly min: number;
  readonly max?: number;
  /** 1 takes whole numbers only; otherwise it is the arrows' step. */
  readonly step: number;
  readonly change: (value: number | null) => void;
}

export function NumberField({ label, value, min, max, step, change }: NumberFieldProps) {
  const id = useId();
  const [text, setText] = useState(shown(value));
  const [wrong, setWrong] = useState(false);
  useEffect(() => {
    if (!wrong) setText(shown(value));
  }, [value]);
  const take = ({ value: text, valueAsNumber, validity }: HTMLInputElement) => {
    const number = Number.isNaN(valueAsNumber) ? null : valueAsNumber;
    const fits = !validity.badInput && (number === null || isFit(number, { min, max, step }));
    setText(text);
    setWrong(!fits);
    if (fits) change(number);
  };
  return (
    <div class="field">
      <label class="field-label" for={id}>{label}</label>
      <input
        id={id}
        class="input"
        type="number"
        inputMode="decimal"
        placeholder="Default"
        value={text}
        min={min}
        max={max}
        step={step}
        aria-invalid={wrong}
        aria-describedby={wrong ? `${id}-wrong` : undefined}
        onInput={(event) => take(event.currentTarget)}
      />
      {wrong && <span id={`${id}-wrong`} class="wrong">{range(min, max, step)}</span>}
    </div>
  );
}

interface Range {
  readonly min: number;
  readonly max: number | undefined;
  readonly step: number;
}

function isFit(value: number, { min, max = Infinity, step }: Range): boolean {
  return value >= min && value <= max && (step !== 1 || Number.isInteger(value));
}

function range(min: number, max: number | undefined, step: number): string {
  const kind = step === 1 ? "A whole number" : "A number";
  return max === undefined ? `${kind} from ${min}` : `${kind} from ${min} to ${max}`;
}

function shown(value: number | null): string {
  return value === null ? "" : String(value);
}
