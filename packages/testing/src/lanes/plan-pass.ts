import type { Extent, Lane, LaneCase } from './lane.ts'

/** One case, in full or in part. */
export interface Job {
  /** Of the case in the list. */
  readonly place: number
  readonly extent: Extent
}

/** What is to be run. */
export interface PassWish {
  readonly extent: Extent
  /** Only the first failure is wanted. */
  readonly isHunt: boolean
  /** Cases whose name holds this; all unless said. */
  readonly text: string | undefined
  /** Another number begins elsewhere. */
  readonly seed: number
}

/** Cases and jobs, each in the order in which they are run. */
export interface PassPlan {
  readonly chosen: readonly LaneCase[]
  readonly jobs: readonly Job[]
}

/**
 * First the cases of lanes of which a part is quick, and of the others such that each lane and each story is met early.
 * A hunt meets a part of every case before any of them in full. Rules: SIM-47.
 */
export function planPass(lanes: readonly Lane[], { extent, isHunt, text = '', seed }: PassWish): PassPlan {
  const casesOf = (isMeant: (lane: Lane) => boolean): readonly LaneCase[] =>
    mixed(lanes.filter(isMeant)).filter(({ name }) => name.includes(text))
  const quick = casesOf(({ isQuick = false }) => isQuick)
  const slow = casesOf(({ isQuick = false }) => !isQuick)
  const chosen = [...quick, ...slow]
  const jobsOf = (cases: readonly LaneCase[], wanted: Extent): readonly Job[] =>
    rotated(cases, seed).map((each) => ({ place: chosen.indexOf(each), extent: wanted }))
  const parts = isHunt && extent === 'all' ? [...jobsOf(quick, 'part'), ...jobsOf(slow, 'part')] : []
  return { chosen, jobs: [...parts, ...jobsOf(chosen, extent)] }
}

/** The same list from another beginning. */
function rotated(cases: readonly LaneCase[], seed: number): readonly LaneCase[] {
  const first = cases.length === 0 ? 0 : (seed * 97) % cases.length
  return [...cases.slice(first), ...cases.slice(0, first)]
}

/** Cases of several lanes, taken from each in turn, with a stride so that neighbours are not alike. */
function mixed(some: readonly Lane[]): readonly LaneCase[] {
  const queues = some.map(({ cases }) => strided(cases))
  const longest = Math.max(0, ...queues.map((queue) => queue.length))
  return Array.from({ length: longest }, (_, index) => index).flatMap((index) =>
    queues.flatMap((queue) => queue[index] ?? []),
  )
}

function strided(cases: readonly LaneCase[]): readonly LaneCase[] {
  const stride = 17
  return Array.from({ length: stride }, (_, first) =>
    cases.filter((__, index) => index % stride === first),
  ).flat()
}
