"""The same in four applications, to be deployed apart: `hypercorn machines.images.apart:transformer`, and so on.

Register `workflows` last.
"""

import durable_fsm
from machines.images.machine import image_workflow
from machines.images.screenshots import Screenshots
from machines.images.stable_diffusion import StableDiffusion
from machines.images.transformer import Transformer

screenshots = durable_fsm.app(Screenshots)
stable_diffusion = durable_fsm.app(StableDiffusion)
transformer = durable_fsm.app(Transformer)
workflows = durable_fsm.app(image_workflow, elsewhere=[Screenshots, StableDiffusion, Transformer])
