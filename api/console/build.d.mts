/** Builds the console's page into a folder, which is made when it is missing. */
export function buildConsole(outputDirectory: string): Promise<void>;
