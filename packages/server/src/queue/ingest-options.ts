/** Whether a push is decided in its request, and what decides it otherwise. */
export interface IngestOptions {
  /**
   * `inline` (default): a push is decided in its request. `queued`: it is stored and answered with a receipt, and a worker
   * decides it. `auto`: queued while the server is under load.
   */
  readonly mode?: 'inline' | 'queued' | 'auto'
  /** `redis://host:port/db`: where the queue is. Needs the packages `bullmq` and `ioredis`. */
  readonly redis?: string
  /** Name of the queue, for several deployments that share a Redis; 'holdfast' unless said. Without colons. */
  readonly queue?: string
  /** Whether this process also applies what is queued; true unless said. `holdfast worker` is a process that does nothing else. */
  readonly works?: boolean
  /** Devices whose pushes one process applies at the same time; 4 unless said. Each takes a connection of the store. */
  readonly concurrency?: number
  /** When `auto` queues; see docs/queue.md. */
  readonly auto?: AutoBounds
}

/** What `auto` takes for load. It ends when both have been below half of these for a while and no receipt waits. */
export interface AutoBounds {
  /** Pushes that this process works on at once; 32 unless said. */
  readonly pushes?: number
  /** Time a writer waits for a connection or its turn, ms; 250 unless said. */
  readonly waitMs?: number
  /** How long it must have been calm, ms; 5,000 unless said. */
  readonly calmMs?: number
}
