"""The application to serve: `hypercorn machines.food.service:app`."""

import durable_fsm
from machines.food.delivery import OrderStatus
from machines.food.driver import Driver
from machines.food.machine import Order
from machines.food.matcher import Matcher
from machines.food.phone import DriverApp

app = durable_fsm.app(Order, OrderStatus, Matcher, Driver, DriverApp)
