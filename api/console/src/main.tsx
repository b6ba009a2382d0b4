import { render } from 'preact';
import { App } from './app.tsx';
import { finishSignIn, isReturn } from './signIn.ts';

const root = document.getElementById('console');
if (root === null) throw new Error('the page has no element "console"');
const address = new URL(location.href);
// Before the page is drawn: the address is brought back to what it was.
const returning = isReturn(address) ? finishSignIn(address) : undefined;
// The page shows why it failed, but looks at it only once it is drawn.
returning?.catch(() => undefined);
render(<App returning={returning} />, root);
