/** Light, dark, or as the system has it. */
import type { Theme } from "../state/settings.ts";
import { MoonIcon, SunIcon, SystemIcon } from "./icons.tsx";

const themes = [
  { theme: "system", label: "Colours of the system", Icon: SystemIcon },
  { theme: "light", label: "Light colours", Icon: SunIcon },
  { theme: "dark", label: "Dark colours", Icon: MoonIcon },
] as const;

export function ThemeSwitch({ theme, change }: { readonly theme: Theme; readonly change: (theme: Theme) => void }) {
  return (
    <div class="themes" role="radiogroup" aria-label="Colours">
      {themes.map(({ theme: each, label, Icon }) => (
        <label key={each} class="theme" title={label}>
          <input type="radio" name="theme" aria-label={label} checked={each === theme} onChange={() => change(each)} />
          <Icon />
        </label>
      ))}
    </div>
  );
}
