import type { MergeRuleName } from '@holdfast/core'

/**
 * A run, written down: what people do, what goes wrong, and a seed for everything that is left to chance. The same plan
 * gives the same run, to the byte. A plan is plain JSON, so that it can be kept, replayed and shrunk.
 */
export interface Plan {
  readonly version: 1
  /** For what no step decides: delays, losses, ids. */
  readonly seed: number
  readonly tenants: number
  readonly devices: readonly DevicePlan[]
  readonly network: NetworkFaults
  readonly storage: StorageFaults
  /** Sorted by time. */
  readonly steps: readonly Step[]
  /** Whether the app has one class of priority, as most have; several unless said. For the mix schema. */
  readonly isEven?: boolean
  /** The app is made from it, and is nobody's; the mix schema unless said. */
  readonly schemaSeed?: number
  /** The server begins with what the app of before knows, and so do all devices. */
  readonly isServerEarlier?: boolean
  /** Whether devices find out by themselves that all faults are over; somebody tells them at once unless said. */
  readonly healsUntold?: boolean
  /** When faults and writes stop, virtual ms. */
  readonly chaosMs: number
}

/** One device and who holds it. */
export interface DevicePlan {
  /** Index of the user; users of one tenant share its scopes. */
  readonly user: number
  /** Index of the tenant. */
  readonly tenant: number
  readonly durability: 'full' | 'fast'
  /** As in a browser: nothing is known of other processes, and the lease of one that died is waited for. */
  readonly isBrowser?: boolean
  /** It begins with the app of before, where there was one, and has it until it is updated. */
  readonly isEarlier?: boolean
  /** How wrong the clock is at the start, ms. */
  readonly clockOffsetMs: number
  /** How much too fast it runs, parts per million. */
  readonly clockDriftPpm: number
}

/** Chances are per message and in [0, 1]. All zero: a perfect network with `delayMs` of delay. */
export interface NetworkFaults {
  /** Mean delay of a message one way, ms; delays are drawn anew for each, so messages overtake each other. */
  readonly delayMs: number
  /** Chance of a delay of up to two minutes. */
  readonly tail: number
  /** A request never arrives; an answer never arrives. */
  readonly loseRequest: number
  readonly loseAnswer: number
  /** The request arrives twice; the device gets the second answer. */
  readonly duplicate: number
  /** A copy of the request arrives again, up to minutes later; nobody waits for that answer. */
  readonly replay: number
  /** The answer is cut in mid-body. */
  readonly cut: number
  /** Something else answers: a portal, a proxy, a busy balancer. */
  readonly impostor: number
  /** The token is refused once. */
  readonly expire: number
}

/** Chances are per statement. */
export interface StorageFaults {
  /** A statement of a device fails: the disk is full. */
  readonly deviceFull: number
  /** A statement of the server fails: the disk is full. */
  readonly serverFull: number
  /** A statement of a device takes time, in which everybody else goes on. */
  readonly slow: number
}

/** One thing that happens. */
export interface Step {
  readonly atMs: number
  /** Index of the device; -1 for what happens to the server or to all. */
  readonly device: number
  readonly action: Action
  /** Seed of what the action leaves open: which record, which value. */
  readonly draw: number
}

/** What a step does. Numbers are bounds or indices; what is not there when the step comes is skipped. */
export type Action =
  // People.
  | { readonly kind: 'insert'; readonly collection: string }
  | {
      readonly kind: 'import'
      readonly collection: string
      readonly count: number
      /** None of them wants a unique key that another row of such an import has. */
      readonly apart?: boolean
    }
  | {
      readonly kind: 'update'
      readonly collection: string
      readonly fields: number
      readonly hot: boolean
      /** Fields that merge by it, where there are any; any field unless said. */
      readonly rule?: MergeRuleName
    }
  | { readonly kind: 'adopt'; readonly collection: string }
  | { readonly kind: 'count'; readonly collection: string; readonly hot: boolean }
  | { readonly kind: 'tag'; readonly collection: string }
  | { readonly kind: 'delete'; readonly collection: string }
  | { readonly kind: 'recreate'; readonly collection: string }
  | { readonly kind: 'move'; readonly collection: string }
  | { readonly kind: 'group'; readonly size: number }
  | { readonly kind: 'pair' }
  | { readonly kind: 'claim-code' }
  | { readonly kind: 'swap-codes' }
  | { readonly kind: 'settle'; readonly how: 'mine' | 'theirs' | 'merge' | 'both' | 'discard' }
  | { readonly kind: 'repair'; readonly how: 'retry' | 'discard' | 'edit' }
  | { readonly kind: 'restore-value' }
  /** Forms are told apart by their numbers. Saved is what was opened under that number, if it was. */
  | {
      readonly kind: 'open-form'
      readonly form: number
      readonly collection: string
      readonly hot: boolean
    }
  | { readonly kind: 'open-letter'; readonly form: number }
  | { readonly kind: 'save-form'; readonly form: number; readonly fields: number }
  | { readonly kind: 'look' }
  | { readonly kind: 'sync' }
  // Devices.
  | { readonly kind: 'offline'; readonly forMs: number; readonly told: boolean }
  | { readonly kind: 'one-way'; readonly forMs: number; readonly direction: 'up' | 'down' }
  | { readonly kind: 'clog'; readonly forMs: number }
  | { readonly kind: 'crash'; readonly afterCalls: number; readonly downMs: number }
  | { readonly kind: 'power-cut'; readonly afterCalls: number; readonly downMs: number }
  | { readonly kind: 'suspend'; readonly forMs: number }
  | { readonly kind: 'close'; readonly downMs: number }
  | { readonly kind: 'app-update'; readonly downMs: number }
  | { readonly kind: 'clock-jump'; readonly byMs: number }
  | {
      readonly kind: 'disk-full'
      readonly forMs: number
      readonly late?: boolean
      readonly tight?: boolean
    }
  | { readonly kind: 'backup' }
  | { readonly kind: 'put-back' }
  | { readonly kind: 'clone' }
  | { readonly kind: 'spy' }
  // The server.
  | { readonly kind: 'server-kill'; readonly afterCalls: number; readonly downMs: number }
  | { readonly kind: 'server-update'; readonly downMs: number }
  | { readonly kind: 'server-full'; readonly forMs: number; readonly late?: boolean }
  | { readonly kind: 'server-backup' }
  | { readonly kind: 'server-restore' }
  | { readonly kind: 'collect'; readonly olderThanMs: number }
  | { readonly kind: 'foreign'; readonly collection: string }
  | { readonly kind: 'grant'; readonly revoke: boolean }
  /** An operator looks through escrow and decides about some of it. */
  | { readonly kind: 'operate' }

/** A plan that anybody can read again. */
export function planText(plan: Plan): string {
  return `${JSON.stringify(plan)}\n`
}
