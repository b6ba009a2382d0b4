/** See buildApi.mjs. */
export function buildApi(root: string, tools: { readonly pulumi: string }): Promise<boolean>;
