import { useEffect, useState } from 'preact/hooks';

let listener: ((text: string) => void) | undefined;

/** Has screen readers say what happened, when nothing that has the focus tells it. */
export function announce(text: string): void {
  listener?.(text);
}

/** The one live region; it is there before anything is said, or nothing would be. */
export function Announcer() {
  const [text, setText] = useState('');
  useEffect(() => {
    listener = setText;
    return () => {
      listener = undefined;
    };
  }, []);
  return (
    <div role="status" aria-live="polite" class="visually-hidden">
      {text}
    </div>
  );
}
