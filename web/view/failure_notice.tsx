/** What went wrong with an answer, and what can be done about it. */
import type { Failure } from "../api/failure.ts";
import { useCountdown } from "./hooks.ts";

interface FailureNoticeProps {
  readonly failure: Failure;
  readonly retry: (() => void) | null;
  readonly choose: () => void;
  readonly begin: () => void;
}

export function FailureNotice({ failure, retry, choose, begin }: FailureNoticeProps) {
  const left = useCountdown(failure.retryAfter ?? 0);
  return (
    <div class="failure" role="alert">
      <p>{failure.message}</p>
      {failure.kind === "too_long" && <button type="button" class="button" onClick={begin}>New conversation</button>}
      {failure.kind === "locked" && <button type="button" class="button" onClick={choose}>Enter a key</button>}
      {retry && failure.kind !== "too_long" && (
        <button type="button" class="button" disabled={left > 0} onClick={retry}>
          {left > 0 ? `Try again in ${left} s` : "Try again"}
        </button>
      )}
    </div>
  );
}
