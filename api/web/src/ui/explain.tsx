import type { ComponentChildren, JSX } from 'preact';
import { useEffect, useId, useLayoutEffect, useRef, useState } from 'preact/hooks';

interface Props {
  /** What is underlined. */
  readonly children: ComponentChildren;
  /** What it says when pointed at, focused or tapped. */
  readonly tip: ComponentChildren;
}

const GAP = 8;

/** A word or figure that explains itself, to a mouse, to a keyboard, to a finger and to a screen reader. */
export function Explain({ children, tip }: Props): JSX.Element {
  const id = useId();
  const [shown, setShown] = useState(false);
  const anchor = useRef<HTMLButtonElement>(null);
  const box = useRef<HTMLSpanElement>(null);

  useLayoutEffect(() => {
    if (!shown || anchor.current === null || box.current === null) return;
    const at = anchor.current.getBoundingClientRect();
    const size = box.current.getBoundingClientRect();
    const left = Math.max(12, Math.min(at.left, document.documentElement.clientWidth - size.width - 12));
    const below = at.bottom + GAP;
    const top = below + size.height > innerHeight && at.top - GAP - size.height > 0 ? at.top - GAP - size.height : below;
    box.current.style.left = `${left}px`;
    box.current.style.top = `${top}px`;
  }, [shown]);

  useEffect(() => {
    if (!shown) return undefined;
    const hide = (): void => setShown(false);
    const onKey = (event: KeyboardEvent): void => {
      if (event.key === 'Escape') hide();
    };
    addEventListener('keydown', onKey);
    addEventListener('scroll', hide, { passive: true, capture: true });
    return () => {
      removeEventListener('keydown', onKey);
      removeEventListener('scroll', hide, { capture: true });
    };
  }, [shown]);

  return (
    <span onPointerEnter={() => setShown(true)} onPointerLeave={() => setShown(false)}>
      <button
        type="button"
        class="explain"
        ref={anchor}
        aria-describedby={shown ? id : undefined}
        onFocus={() => setShown(true)}
        onBlur={() => setShown(false)}
        onClick={() => setShown(true)}
      >
        {children}
      </button>
      {shown && (
        <span class="tip" role="tooltip" id={id} ref={box}>
          {tip}
        </span>
      )}
    </span>
  );
}
