import { Heading } from '../parts.tsx';
import { href } from '../router.ts';

export function NotFoundView() {
  return (
    <>
      <Heading title="Not found" />
      <p>
        There is no page at this address. <a href={href(['databases'])}>All databases</a>
      </p>
    </>
  );
}
