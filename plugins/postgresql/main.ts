import { serve } from '../framework/server.ts';
import { plugin } from './plugin.ts';

serve(plugin);
