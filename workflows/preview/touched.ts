/** Which environments a change of files touches. Pure. */

const CONFIGURATION = /^Pulumi\.(.+)\.yaml$/;
/** What neither an image nor a resource is made of. */
const WITHOUT_EFFECT = [
  /^\.github\//,
  /^docs\//,
  /\.md$/i,
  /^LICENSE/,
  /^\.git(ignore|attributes)$/,
  /^\.editorconfig$/,
];

export interface Touched {
  /** Names, in the order of `environments`. */
  readonly environments: readonly string[];
  /** Environments whose configuration is gone. */
  readonly gone: readonly string[];
}

/**
 * A configuration touches its own environment; everything else of an application's repository, but for what has no effect,
 * touches all of them: resource files, migrations, code.
 *
 * @param files paths from the root of the repository, with `/`
 * @param environments that the repository configures
 */
export function touchedBy(files: readonly string[], environments: readonly string[]): Touched {
  const named = new Set<string>();
  let all = false;
  for (const file of files) {
    const name = CONFIGURATION.exec(file)?.[1];
    if (name !== undefined) named.add(name);
    else if (file === 'Pulumi.yaml' || !WITHOUT_EFFECT.some((rule) => rule.test(file))) all = true;
  }
  return {
    environments: environments.filter((name) => all || named.has(name)),
    gone: [...named].filter((name) => name !== 'images' && !environments.includes(name)).sort(),
  };
}
