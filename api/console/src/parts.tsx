import type { ComponentChildren } from 'preact';
import { useEffect, useLayoutEffect, useRef } from 'preact/hooks';
import { ProblemError } from '../../../client/src/index.ts';

/** The view's heading. It takes the focus when the view is opened: the keyboard starts there, a reader reads it. */
export function Heading({ title, children }: { title: string; children?: ComponentChildren }) {
  const heading = useRef<HTMLHeadingElement>(null);
  // At once, not after the next paint: by then somebody may be typing elsewhere. And once: a title that changes when
  // more is known must not take the focus from where it has gone since.
  useLayoutEffect(() => heading.current?.focus(), []);
  useLayoutEffect(() => {
    document.title = `${title} – Databases`;
  }, [title]);
  return (
    <div class="heading">
      <h1 ref={heading} tabIndex={-1}>
        {title}
      </h1>
      {children}
    </div>
  );
}

/** What went wrong and the cure, as the service says it. */
export function ErrorNotice({ error }: { error: Error | undefined }) {
  const notice = useRef<HTMLDivElement>(null);
  useEffect(() => notice.current?.scrollIntoView({ block: 'nearest' }), [error]);
  if (error === undefined) return null;
  const problem = error instanceof ProblemError ? error.problem : undefined;
  return (
    <div class="notice failed" role="alert" ref={notice}>
      <ProblemText
        title={
          problem?.title ?? (error instanceof TypeError ? 'The service could not be reached' : 'That did not work')
        }
        detail={problem?.detail ?? error.message}
        errors={problem?.errors}
      />
    </div>
  );
}

export function ProblemText(props: {
  readonly title: string;
  readonly detail: string;
  readonly errors?: readonly { readonly path: string; readonly problem: string }[];
}) {
  return (
    <>
      <p class="notice-title">{props.title}</p>
      <p class="detail">{props.detail}</p>
      {props.errors && props.errors.length > 0 && (
        <ul>
          {props.errors.map(({ path, problem }) => (
            <li key={path}>
              <code>{path}</code>: {problem}
            </li>
          ))}
        </ul>
      )}
    </>
  );
}

/** A state in words; the color only repeats it. */
export function Badge({ value }: { value: string }) {
  return <span class={`badge ${value}`}>{value}</span>;
}

export function Moment({ at }: { at: string | null }) {
  return at === null ? <span>–</span> : <time dateTime={at}>{new Date(at).toLocaleString()}</time>;
}

export function Loading({ what }: { what: string }) {
  return (
    <p role="status" class="loading">
      Loading {what}…
    </p>
  );
}

/** A table that scrolls by itself where the window is narrow; reachable by keyboard then. */
export function TableRegion({ label, children }: { label: string; children: ComponentChildren }) {
  return (
    // biome-ignore lint/a11y/noNoninteractiveTabindex: a region that scrolls must be reachable by keyboard
    <section class="scroll" aria-label={label} tabIndex={0}>
      <table>{children}</table>
    </section>
  );
}

export function Field(props: {
  readonly id: string;
  readonly label: string;
  readonly hint?: string;
  readonly children: ComponentChildren;
}) {
  return (
    <div class="field">
      <label for={props.id}>{props.label}</label>
      {props.children}
      {props.hint && (
        <p class="hint" id={`${props.id}-hint`}>
          {props.hint}
        </p>
      )}
    </div>
  );
}
