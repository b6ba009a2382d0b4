import { href } from './router.ts';

/** Links to the first and the next page of a list. The browser's "back" goes to the one before. */
export function Pages(props: {
  readonly path: readonly string[];
  readonly query: URLSearchParams;
  readonly next: string | null;
}) {
  const { cursor, ...filter } = Object.fromEntries(props.query);
  if (cursor === undefined && props.next === null) return null;
  return (
    <nav class="pages" aria-label="Pages">
      {cursor !== undefined && <a href={href(props.path, filter)}>First page</a>}
      {props.next !== null && <a href={href(props.path, { ...filter, cursor: props.next })}>Next page</a>}
    </nav>
  );
}
