/** The choices that hold for all conversations in this browser. */
import { useEffect, useRef } from "preact/hooks";
import { defaults, type Settings } from "../state/settings.ts";
import type { Store } from "../state/store.ts";
import { CloseIcon } from "./icons.tsx";
import { NumberField } from "./number_field.tsx";

interface SettingsDialogProps {
  readonly store: Store;
  readonly settings: Settings;
  readonly open: boolean;
  readonly close: () => void;
}

export function SettingsDialog({ store, settings, open, close }: SettingsDialogProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  useEffect(() => {
    if (open) dialog.current!.showModal();
  }, [open]);
  const end = () => dialog.current!.close();
  const submit = (event: Event) => {
    event.preventDefault();
    end();
  };
  const { key, theme } = settings;
  return (
    <dialog
      ref={dialog}
      class="settings"
      aria-labelledby="settings-title"
      onClose={close}
      onClick={(event) => event.target === dialog.current && end()}
    >
      <form noValidate class="settings-body" onSubmit={submit}>
        <div class="settings-head">
          <div>
            <h2 id="settings-title">Settings</h2>
            <p class="hint">
              For all conversations in this browser. <a href="/docs">The API</a>
            </p>
          </div>
          <button type="button" class="icon-button" aria-label="Close" onClick={end}>
            <CloseIcon />
          </button>
        </div>
        {open && <Fields settings={settings} change={(change) => store.changeSettings(change)} />}
        <div class="settings-foot">
          <button type="button" class="button" onClick={() => store.changeSettings({ ...defaults, key, theme })}>
            Restore defaults
          </button>
          <button type="submit" class="button primary">Done</button>
        </div>
      </form>
    </dialog>
  );
}

interface FieldsProps {
  readonly settings: Settings;
  readonly change: (change: Partial<Settings>) => void;
}

function Fields({ settings, change }: FieldsProps) {
  return (
    <>
      <label class="field">
        <span class="field-label">System prompt</span>
        <textarea
          class="input"
          rows={3}
          value={settings.system}
          placeholder="How the model should answer"
          onInput={(event) => change({ system: event.currentTarget.value })}
        />
      </label>
      <label class="field check">
        <input
          type="checkbox"
          checked={settings.thinking}
          onChange={(event) => change({ thinking: event.currentTarget.checked })}
        />
        <span>Think before answering</span>
      </label>
      <div class="field-grid">
        <Numbers settings={settings} change={change} />
      </div>
      <label class="field">
        <span class="field-label">API key</span>
        <input
          class="input"
          type="password"
          autocomplete="off"
          value={settings.key}
          placeholder="Only where the server asks for one"
          onChange={(event) => change({ key: event.currentTarget.value.trim() })}
        />
      </label>
    </>
  );
}

function Numbers({ settings, change }: FieldsProps) {
  const { temperature, topP, maxTokens, thinkingBudget } = settings;
  return (
    <>
      <NumberField
        label="Temperature"
        value={temperature}
        min={0}
        max={2}
        step={0.1}
        change={(temperature) => change({ temperature })}
      />
      <NumberField label="Top-p" value={topP} min={0.01} max={1} step={0.01} change={(topP) => change({ topP })} />
      <NumberField
        label="Answer, tokens at most"
        value={maxTokens}
        min={1}
        step={1}
        change={(maxTokens) => change({ maxTokens })}
      />
      <NumberField
        label="Thought, tokens at most"
        value={thinkingBudget}
        min={0}
        step={1}
        change={(thinkingBudget) => change({ thinkingBudget })}
      />
    </>
  );
}
