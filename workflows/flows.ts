/** Every flow by its name. */

import type { Flow } from './options.ts';

export const flows: readonly Flow[] = [];
