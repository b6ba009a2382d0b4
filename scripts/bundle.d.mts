/** The URL of the bundled program; bundled anew when a source, or what is installed, has changed. */
export function bundledProgram(root: string): Promise<string>;
