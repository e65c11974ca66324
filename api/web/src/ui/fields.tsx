import type { ComponentChildren, JSX } from 'preact';
import { useId } from 'preact/hooks';

interface Common {
  readonly label: string;
  /** Plain explanation. */
  readonly hint?: ComponentChildren;
  /** What is wrong with the value; also colours and marks the field. */
  readonly wrong?: string | undefined;
}

function ids(id: string, hint: unknown, wrong: string | undefined): string | undefined {
  const list = [wrong === undefined ? '' : `${id}-wrong`, hint === undefined ? '' : `${id}-hint`].filter((part) => part !== '');
  return list.length === 0 ? undefined : list.join(' ');
}

function Below({ id, hint, wrong }: { readonly id: string; readonly hint?: ComponentChildren; readonly wrong: string | undefined }): JSX.Element {
  return (
    <>
      {wrong !== undefined && (
        <p class="wrong" id={`${id}-wrong`} role="alert">
          {wrong}
        </p>
      )}
      {hint !== undefined && (
        <p class="hint" id={`${id}-hint`}>
          {hint}
        </p>
      )}
    </>
  );
}

interface NumberProps extends Common {
  readonly value: string;
  readonly change: (text: string) => void;
  readonly unit: string;
  readonly name: string;
  readonly disabled?: boolean;
  readonly placeholder?: string;
  /** A button inside the field, e.g. "Max". */
  readonly action?: { readonly label: string; readonly run: () => void };
}

/** A number typed as text: browsers' number fields change on scroll and lose what they cannot read. */
export function NumberField({ label, hint, wrong, value, change, unit, name, disabled, placeholder, action }: NumberProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>
        {label} <span class="sr">in {unit}</span>
      </label>
      <div class={`box ${wrong === undefined ? '' : 'bad'}`}>
        {action && (
          <button type="button" class="text" onClick={action.run}>
            {action.label}
          </button>
        )}
        <input
          id={id}
          name={name}
          class="number"
          type="text"
          inputMode="decimal"
          autocomplete="off"
          spellcheck={false}
          value={value}
          disabled={disabled}
          placeholder={placeholder}
          aria-invalid={wrong !== undefined}
          aria-describedby={ids(id, hint, wrong)}
          onInput={(event) => change(event.currentTarget.value)}
        />
        <span class="unit" aria-hidden="true">
          {unit}
        </span>
      </div>
      <Below id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

interface TextProps extends Common {
  readonly value: string;
  readonly change: (text: string) => void;
  readonly name: string;
  readonly placeholder?: string;
  readonly mono?: boolean;
  readonly action?: { readonly label: string; readonly run: () => void };
}

export function TextField({ label, hint, wrong, value, change, name, placeholder, mono, action }: TextProps): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={`box ${wrong === undefined ? '' : 'bad'}`}>
        <input
          id={id}
          name={name}
          class={mono ? 'mono' : ''}
          type="text"
          autocomplete="off"
          spellcheck={false}
          value={value}
          placeholder={placeholder}
          aria-invalid={wrong !== undefined}
          aria-describedby={ids(id, hint, wrong)}
          onInput={(event) => change(event.currentTarget.value)}
        />
        {action && (
          <button type="button" class="text" onClick={action.run}>
            {action.label}
          </button>
        )}
      </div>
      <Below id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

interface ChoiceProps<T extends string> extends Common {
  readonly value: T;
  readonly change: (value: T) => void;
  readonly options: readonly { readonly value: T; readonly label: string }[];
  readonly name: string;
}

export function SelectField<T extends string>({ label, hint, wrong, value, change, options, name }: ChoiceProps<T>): JSX.Element {
  const id = useId();
  return (
    <div class="field">
      <label for={id}>{label}</label>
      <div class={`box ${wrong === undefined ? '' : 'bad'}`}>
        <select
          id={id}
          name={name}
          value={value}
          aria-invalid={wrong !== undefined}
          aria-describedby={ids(id, hint, wrong)}
          onChange={(event) => change(event.currentTarget.value as T)}
        >
          {options.map((option) => (
            <option key={option.value} value={option.value}>
              {option.label}
            </option>
          ))}
        </select>
      </div>
      <Below id={id} hint={hint} wrong={wrong} />
    </div>
  );
}

export function RadioField<T extends string>({ label, hint, wrong, value, change, options, name }: ChoiceProps<T>): JSX.Element {
  const id = useId();
  return (
    <fieldset class="field" aria-describedby={ids(id, hint, wrong)}>
      <legend class="label">{label}</legend>
      <div>
        <div class="choices">
          {options.map((option) => (
            <label key={option.value}>
              <input
                type="radio"
                name={name}
                value={option.value}
                checked={option.value === value}
                onChange={() => change(option.value)}
              />
              {option.label}
            </label>
          ))}
        </div>
      </div>
      <Below id={id} hint={hint} wrong={wrong} />
    </fieldset>
  );
}

interface ChecksProps extends Common {
  readonly name: string;
  readonly chosen: readonly string[];
  readonly change: (chosen: readonly string[]) => void;
  readonly options: readonly { readonly value: string; readonly label: string }[];
}

export function ChecksField({ label, hint, wrong, name, chosen, change, options }: ChecksProps): JSX.Element {
  const id = useId();
  return (
    <fieldset class="field" aria-describedby={ids(id, hint, wrong)}>
      <legend class="label">{label}</legend>
      <div class="checks">
        {options.map((option) => (
          <label class="check" key={option.value}>
            <input
              type="checkbox"
              name={name}
              value={option.value}
              checked={chosen.includes(option.value)}
              onChange={(event) =>
                change(
                  // In the order of the options, whatever order they were ticked in.
                  options
                    .map((each) => each.value)
                    .filter((each) => (each === option.value ? event.currentTarget.checked : chosen.includes(each))),
                )
              }
            />
            {option.label}
          </label>
        ))}
      </div>
      <Below id={id} hint={hint} wrong={wrong} />
    </fieldset>
  );
}
