import type { ControlFrame } from '../wire/frame.ts'
import type { InitArgs, News } from './handler.ts'
import type { Letter } from './mailbox.ts'
import type { SharedFrame } from './shared-frame.ts'

/** What a connection's mailbox holds: a frame that has come, or something from inside. */
export type ConnectionLetter = Letter & (
  | { readonly type: 'init', readonly args: InitArgs<unknown, unknown, unknown> }
  | { readonly type: 'message', readonly data: string | Buffer }
  | { readonly type: 'control', readonly frame: ControlFrame }
  | { readonly type: 'info', readonly info: unknown }
  | { readonly type: 'shared', readonly frame: SharedFrame }
  | News
)

/** The callback that each is for; no callback sends a broadcast. */
export const CALLBACK_NAMES = {
  init: 'init',
  message: 'handleIn',
  control: 'handleControl',
  info: 'handleInfo',
  drain: 'handleDrain',
  gap: 'handleGap',
  presence: 'handlePresence',
  shared: 'broadcast'
} as const
