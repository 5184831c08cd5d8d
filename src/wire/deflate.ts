/** How the messages of one connection are compressed. */
export interface Deflate {
  /** The window size: 9 to 15. */
  readonly windowBits: number
  /** The minimum size of a compressed message in bytes. */
  readonly threshold: number
}
