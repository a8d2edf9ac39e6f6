import { Badge, UnstyledButton } from '@mantine/core'
import { Inspector } from '@holdfast/react/inspector'
import { type ComponentType, type ReactElement, useState } from 'react'

import { AccountMenu } from './account-menu.tsx'
import { useSyncStatus } from './hooks.ts'
import {
  IconBox,
  type IconComponent,
  IconChartBar,
  IconClipboardCheck,
  IconGitCompare,
  IconTransfer,
} from './icons.ts'
import { CountScreen } from './screens/count-screen.tsx'
import { DecisionsScreen } from './screens/decisions-screen.tsx'
import { ItemsScreen } from './screens/items-screen.tsx'
import { MovementsScreen } from './screens/movements-screen.tsx'
import { OverviewScreen } from './screens/overview-screen.tsx'
import { useSession } from './session.tsx'
import { StatusChip } from './status-chip.tsx'
import { useReports } from './use-reports.ts'

const screens = {
  overview: { title: 'Overview', icon: IconChartBar, show: OverviewScreen },
  items: { title: 'Items', icon: IconBox, show: ItemsScreen },
  count: { title: 'Count', icon: IconClipboardCheck, show: CountScreen },
  movements: { title: 'Movements', icon: IconTransfer, show: MovementsScreen },
  decisions: { title: 'Decisions', icon: IconGitCompare, show: DecisionsScreen },
} as const satisfies Record<string, { title: string; icon: IconComponent; show: ComponentType }>

type ScreenName = keyof typeof screens

/** The app of whoever is signed in: a screen, and the ways to the others. */
export function Stockroom(): ReactElement {
  const { person, device } = useSession()
  const [screen, setScreen] = useState<ScreenName>(person === 'office' ? 'overview' : 'items')
  const [hasInspector, setInspector] = useState(false)
  useReports()
  const Screen = screens[screen].show
  return (
    <div className="shell">
      <header className="shell__header">
        <img src="/icon.svg" alt="" width={26} height={26} />
        <h1 className="app-name">Stockroom</h1>
        <div className="status">
          <StatusChip onShowDecisions={() => setScreen('decisions')} />
        </div>
        <AccountMenu onInspect={() => setInspector(!hasInspector)} />
      </header>
      <main className="shell__screen" aria-label={screens[screen].title}>
        <Screen />
      </main>
      <Navigation current={screen} onGo={setScreen} />
      {hasInspector ? <Inspector conditions={device.conditions} isOpen /> : null}
    </div>
  )
}

function Navigation(props: {
  readonly current: ScreenName
  readonly onGo: (screen: ScreenName) => void
}): ReactElement {
  const { person } = useSession()
  const { conflictCount = 0, deadLetterCount = 0 } = useSyncStatus() ?? {}
  const toDecide = conflictCount + deadLetterCount
  const names = Object.keys(screens).filter((name): name is ScreenName => name in screens)
  return (
    <nav className="shell__nav" aria-label="Screens">
      {names
        .filter((name) => name !== 'overview' || person === 'office')
        .map((name) => {
          const Icon = screens[name].icon
          return (
            <UnstyledButton
              key={name}
              className="nav-item"
              aria-current={name === props.current ? 'page' : undefined}
              onClick={() => props.onGo(name)}
            >
              <Icon size={21} stroke={1.7} />
              {screens[name].title}
              {name === 'decisions' && toDecide > 0 ? (
                <Badge className="nav-item__count" circle size="sm" variant="filled" color="violet">
                  {toDecide}
                </Badge>
              ) : null}
            </UnstyledButton>
          )
        })}
    </nav>
  )
}
