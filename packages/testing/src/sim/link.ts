/** The connection of one device as it is at the moment. Times are virtual ms; a fault lasts until then. */
export class Link {
  offlineUntilMs = 0
  /** What it sends is lost. */
  upLostUntilMs = 0
  /** What it is sent is lost. */
  downLostUntilMs = 0
  /** Nothing is lost, but nothing moves. */
  cloggedUntilMs = 0

  isOffline(nowMs: number): boolean {
    return nowMs < this.offlineUntilMs
  }

  heal(): void {
    this.offlineUntilMs = 0
    this.upLostUntilMs = 0
    this.downLostUntilMs = 0
    this.cloggedUntilMs = 0
  }
}
