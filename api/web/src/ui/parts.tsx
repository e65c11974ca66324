import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { Alert, Check, Copy, Cross, Info, Spinner, Steps as Art } from './icons';

export type Tone = 'plain' | 'good' | 'warn' | 'bad';

const TONE_WORDS: Readonly<Record<Tone, string>> = { plain: 'Note: ', good: 'Done: ', warn: 'Caution: ', bad: 'Problem: ' };

export function Notice({ tone = 'plain', live, children }: { readonly tone?: Tone; readonly live?: boolean; readonly children: ComponentChildren }): JSX.Element {
  const Mark = tone === 'bad' || tone === 'warn' ? Alert : tone === 'good' ? Check : Info;
  return (
    <div class={`notice ${tone}`} role={live ? (tone === 'bad' ? 'alert' : 'status') : undefined}>
      <Mark />
      <div>
        <span class="sr">{TONE_WORDS[tone]}</span>
        {children}
      </div>
    </div>
  );
}

/** A failed request, with a way to try again. */
export function Failure({ error, retry }: { readonly error: Error; readonly retry?: () => void }): JSX.Element {
  return (
    <Notice tone="bad" live>
      <p>{error.message}</p>
      {retry && (
        <p class="row">
          <button type="button" class="button small" onClick={retry}>
            Try again
          </button>
        </p>
      )}
    </Notice>
  );
}

export function Blank({ title, children }: { readonly title: string; readonly children?: ComponentChildren }): JSX.Element {
  return (
    <div class="blank">
      <Art />
      <h3>{title}</h3>
      {children}
    </div>
  );
}

/** Holds the place of a figure that is on its way. */
export function Skeleton({ width = '8ch' }: { readonly width?: string }): JSX.Element {
  return (
    <span class="skeleton" style={{ width }} aria-hidden="true">
      &nbsp;
    </span>
  );
}

/** `framed`: on a sheet of its own, for where it stands in for a whole page. */
export function Loading({ what, framed }: { readonly what: string; readonly framed?: boolean }): JSX.Element {
  return (
    <p class={`quiet row ${framed ? 'sheet pad' : ''}`} role="status">
      <Spinner /> Loading {what}…
    </p>
  );
}

export function Tag({ tone, children }: { readonly tone?: Tone; readonly children: ComponentChildren }): JSX.Element {
  return <span class={`tag ${tone ?? ''}`}>{children}</span>;
}

export function shorten(address: string): string {
  return `${address.slice(0, 6)}…${address.slice(-4)}`;
}

export function Address({ of, label = 'address' }: { readonly of: string; readonly label?: string }): JSX.Element {
  return (
    <span class="address">
      <code title={of} aria-label={of}>
        {shorten(of)}
      </code>
      <CopyButton text={of} what={label} />
    </span>
  );
}

export function CopyButton({ text, what }: { readonly text: string; readonly what: string }): JSX.Element {
  const [copied, setCopied] = useState(false);
  useEffect(() => {
    if (!copied) return undefined;
    const timer = setTimeout(() => setCopied(false), 1600);
    return () => clearTimeout(timer);
  }, [copied]);
  return (
    <button
      type="button"
      class="copy"
      aria-label={copied ? `${what} copied` : `Copy ${what}`}
      title={copied ? 'Copied' : `Copy ${what}`}
      onClick={() => {
        navigator.clipboard.writeText(text).then(
          () => setCopied(true),
          () => undefined,
        );
      }}
    >
      {copied ? <Check /> : <Copy />}
    </button>
  );
}

export function TransactionLink({ hash, explorer }: { readonly hash: string; readonly explorer: string | null | undefined }): JSX.Element {
  if (explorer === null || explorer === undefined) {
    return (
      <span class="address">
        <code title={hash}>{shorten(hash)}</code>
        <CopyButton text={hash} what="transaction" />
      </span>
    );
  }
  return (
    <a href={`${explorer}/tx/${hash}`} target="_blank" rel="noreferrer">
      <code>{shorten(hash)}</code>
    </a>
  );
}

export type StepState = 'later' | 'now' | 'done' | 'bad';

export interface Step {
  readonly title: string;
  readonly state: StepState;
  readonly detail?: ComponentChildren;
}

/**
 * Makes the steps of something that goes through phases in an order: a step covers some of them, and what failed is the step
 * of the phase it failed in. The phase `done` is the end of them all.
 */
export function stepsOf<P extends string>(order: readonly P[], phase: P, failed: boolean): (title: string, own: readonly P[], detail?: Step['detail']) => Step {
  const at = order.indexOf(phase);
  return (title, own, detail) => {
    const places = own.map((each) => order.indexOf(each));
    const past = phase === 'done' || at > Math.max(...places);
    const state: StepState = past ? 'done' : at < Math.min(...places) ? 'later' : failed ? 'bad' : 'now';
    return { title, state, ...(detail === undefined ? {} : { detail }) };
  };
}

const STEP_WORDS: Readonly<Record<StepState, string>> = { later: 'to do', now: 'in progress', done: 'done', bad: 'failed' };

/** What has happened, what is happening and what is left, read out as it changes. */
export function Progress({ steps }: { readonly steps: readonly Step[] }): JSX.Element {
  const current = steps.find((step) => step.state === 'now' || step.state === 'bad') ?? steps.at(-1);
  return (
    <>
      <ol class="steps">
        {steps.map((step, index) => (
          <li key={step.title} data-state={step.state}>
            <span class="mark" aria-hidden="true">
              {step.state === 'done' ? <Check /> : step.state === 'bad' ? <Cross /> : step.state === 'now' ? <Spinner /> : index + 1}
            </span>
            <div>
              <strong>{step.title}</strong>
              <span class="sr"> ({STEP_WORDS[step.state]})</span>
              {step.detail !== undefined && <div class="small">{step.detail}</div>}
            </div>
          </li>
        ))}
      </ol>
      <p class="sr" role="status">
        {current === undefined ? '' : `${current.title}: ${STEP_WORDS[current.state]}`}
      </p>
    </>
  );
}

export function Dialog({ title, open, close, children }: { readonly title: string; readonly open: boolean; readonly close: () => void; readonly children: ComponentChildren }): JSX.Element {
  const element = useRef<HTMLDialogElement>(null);
  const id = useId();
  useEffect(() => {
    const dialog = element.current;
    if (dialog === null) return;
    if (open && !dialog.open) dialog.showModal();
    if (!open && dialog.open) dialog.close();
  }, [open]);
  return (
    <dialog
      ref={element}
      aria-labelledby={id}
      onClose={close}
      onClick={(event) => {
        // A click beside the dialog lands on its backdrop, which is the element itself.
        if (event.target === element.current) close();
      }}
    >
      {open && (
        <div class="dialog">
          <div class="spread">
            <h2 id={id}>{title}</h2>
            <button type="button" class="copy" aria-label="Close" onClick={close}>
              <Cross />
            </button>
          </div>
          {children}
        </div>
      )}
    </dialog>
  );
}
