/** What the model has said: its thought, folded, the answer, and how it went. */
import type { Answer } from "../state/conversation.ts";
import { CopyButton } from "./copy_button.tsx";
import { FailureNotice } from "./failure_notice.tsx";
import { RetryIcon } from "./icons.tsx";
import { Markdown } from "./markdown.tsx";
import { Thought } from "./thought.tsx";
import { UsageLine } from "./usage_line.tsx";

interface AnswerViewProps {
  readonly answer: Answer;
  /** Asks again; null where another question follows. */
  readonly retry: (() => void) | null;
  readonly choose: () => void;
  readonly begin: () => void;
}

export function AnswerView({ answer, retry, choose, begin }: AnswerViewProps) {
  const { content, reasoning, status, failure } = answer;
  const streaming = status === "streaming";
  return (
    <article class="message answer" aria-busy={streaming}>
      <h2 class="hidden">Answer</h2>
      {reasoning !== "" && <Thought answer={answer} />}
      {streaming && content === "" && reasoning === "" && <p class="waiting">Reading</p>}
      {content !== "" && <Markdown text={content} done={!streaming} />}
      <Ending answer={answer} />
      {failure && <FailureNotice failure={failure} retry={retry} choose={choose} begin={begin} />}
      <div class="answer-foot">
        {!streaming && (
          <div class="actions">
            {content !== "" && <CopyButton text={content} what="answer" />}
            {retry && !failure && (
              <button type="button" class="icon-button" aria-label="Answer again" title="Answer again" onClick={retry}>
                <RetryIcon />
              </button>
            )}
          </div>
        )}
        {answer.stats && <UsageLine stats={answer.stats} streaming={streaming} />}
      </div>
    </article>
  );
}

function Ending({ answer: { status, reason } }: { readonly answer: Answer }) {
  if (status === "stopped") return <p class="ending">Stopped.</p>;
  if (status === "done" && reason === "length") return <p class="ending">The answer reached the limit of tokens.</p>;
  return null;
}
