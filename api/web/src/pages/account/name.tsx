/** The owner's own name for an account. Nobody else sees it. */
import type { JSX } from 'preact';
import { useEffect, useId, useRef, useState } from 'preact/hooks';
import { labelProblem, setLabel } from '../../session/me';
import { messageOf } from '../../wallet/errors';
import { TextField } from '../../ui/fields';
import { Spinner } from '../../ui/icons';
import { Notice } from '../../ui/parts';

interface Props {
  readonly vault: string;
  readonly label: string | undefined;
  readonly strategyName: string;
  readonly changed: () => void;
}

export function NameAccount({ vault, label, strategyName, changed }: Props): JSX.Element {
  const [open, setOpen] = useState(false);
  const [text, setText] = useState('');
  const [busy, setBusy] = useState(false);
  const [error, setError] = useState<string>();
  const form = useRef<HTMLFormElement>(null);
  const id = useId();
  const problem = labelProblem(text);

  const button = useRef<HTMLButtonElement>(null);
  const wasOpen = useRef(false);

  // The focus goes into the field, and back to where it came from.
  useEffect(() => {
    if (open) form.current?.querySelector('input')?.focus();
    else if (wasOpen.current) button.current?.focus();
    wasOpen.current = open;
  }, [open]);

  async function save(): Promise<void> {
    if (problem !== undefined) return;
    setBusy(true);
    setError(undefined);
    try {
      await setLabel(vault, text.trim());
      setOpen(false);
      changed();
    } catch (reason) {
      setError(messageOf(reason));
    } finally {
      setBusy(false);
    }
  }

  if (!open) {
    return (
      <button
        ref={button}
        type="button"
        class="text"
        aria-label={`${label === undefined ? 'Name' : 'Rename'} this account of ${strategyName}`}
        onClick={() => {
          setText(label ?? '');
          setError(undefined);
          setOpen(true);
        }}
      >
        {label === undefined ? 'Name this account' : 'Rename'}
      </button>
    );
  }
  return (
    <form
      ref={form}
      class="name-form"
      aria-labelledby={id}
      onSubmit={(event) => {
        event.preventDefault();
        void save();
      }}
      onKeyDown={(event) => {
        if (event.key === 'Escape') setOpen(false);
      }}
    >
      <span id={id} class="sr">
        Name of this account of {strategyName}
      </span>
      <TextField label="Your name for this account" name="label" value={text} change={setText} wrong={problem} hint="Only you see it. Leave it empty to remove it." />
      <div class="row">
        <button type="submit" class="button small main" disabled={busy || problem !== undefined}>
          {busy && <Spinner />} Save
        </button>
        <button type="button" class="button small" onClick={() => setOpen(false)}>
          Cancel
        </button>
      </div>
      {error !== undefined && (
        <Notice tone="bad" live>
          {error}
        </Notice>
      )}
    </form>
  );
}
