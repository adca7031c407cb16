/** The page's icons, each 24 units wide and drawn in the text's colour. */
import type { ComponentChildren } from "preact";

function Icon({ children }: { readonly children: ComponentChildren }) {
  return (
    <svg
      class="icon"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      stroke-width="1.75"
      stroke-linecap="round"
      stroke-linejoin="round"
      aria-hidden="true"
    >
      {children}
    </svg>
  );
}

const drawn = (...paths: string[]) => () => <Icon>{paths.map((path) => <path key={path} d={path} />)}</Icon>;

export const ListIcon = drawn("M4 6.5h16", "M4 12h16", "M4 17.5h10");
export const PlusIcon = drawn("M12 5v14", "M5 12h14");
export const SendIcon = drawn("M12 19V5", "M6 11l6-6 6 6");
export const CopyIcon = drawn("M9 9h10v10H9z", "M15 9V5H5v10h4");
export const CheckIcon = drawn("M5 12.5l4.5 4.5L19 7.5");
export const EditIcon = drawn("M4 20l1-4L16 5l3 3L8 19z", "M14 7l3 3");
export const RetryIcon = drawn("M19 12a7 7 0 1 1-2-4.9L19 9", "M19 4.5V9h-4.5");
export const DeleteIcon = drawn("M5 7h14", "M10 7V4.5h4V7", "M7 7l1 12.5h8L17 7");
export const SettingsIcon = drawn("M4 7.5h9", "M18 7.5h2", "M15.5 5v5", "M4 16.5h2", "M11 16.5h9", "M8.5 14v5");
export const CloseIcon = drawn("M6 6l12 12", "M18 6L6 18");
export const ChevronIcon = drawn("M9 6l6 6-6 6");
export const DownIcon = drawn("M12 5v14", "M6 13l6 6 6-6");
export const SunIcon = drawn(
  "M12 8a4 4 0 1 0 0 8a4 4 0 1 0 0-8",
  "M12 2.5v2M12 19.5v2M2.5 12h2M19.5 12h2M5.3 5.3l1.4 1.4M17.3 17.3l1.4 1.4M5.3 18.7l1.4-1.4M17.3 6.7l1.4-1.4",
);
export const MoonIcon = drawn("M19.5 14.5A8 8 0 0 1 9.5 4.5a8 8 0 1 0 10 10z");
export const SystemIcon = drawn("M4 5h16v11H4z", "M9 20h6", "M12 16v4");

export function StopIcon() {
  return (
    <Icon>
      <rect x="7" y="7" width="10" height="10" rx="1.5" fill="currentColor" />
    </Icon>
  );
}

/** The mark: a ring that is not closed. */
export function Mark() {
  return (
    <Icon>
      <path d="M19.4 8.2A8.2 8.2 0 1 1 15 4.3" stroke-width="2.6" />
      <circle cx="18.6" cy="4.9" r="1.2" fill="currentColor" stroke-width="1" />
    </Icon>
  );
}
