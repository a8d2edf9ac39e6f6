import { MantineProvider } from '@mantine/core'
import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'

import { App } from './app.tsx'
import { readableColors, theme } from './theme.ts'

void navigator.serviceWorker?.register('/sw.js').catch(() => undefined)

const root = document.querySelector('#root')
if (root === null) throw new Error('the page has no root')
createRoot(root).render(
  <StrictMode>
    <MantineProvider theme={theme} cssVariablesResolver={readableColors} defaultColorScheme="auto">
      <App />
    </MantineProvider>
  </StrictMode>,
)
