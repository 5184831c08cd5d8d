export { connect } from './connect.ts'
export { drive } from './drive.ts'

export type { ConnectOptions } from './connect.ts'
export type { Driven, DriveOptions } from './drive.ts'
export type { TestConnection } from './test-connection.ts'
export type { ClosedWith, Refusal } from './types.ts'
