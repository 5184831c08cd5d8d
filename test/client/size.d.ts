export const BUNDLES: Readonly<Record<string, string>>
export function measure (contents: string): number
