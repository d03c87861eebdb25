from __future__ import annotations

from django.urls import path

from example_project.shop import views

app_name = "shop"
urlpatterns = [
    path("", views.place_order, name="place"),
    path("orders/<uuid:reference>/", views.show_order, name="order"),
    path("orders/<uuid:reference>/pay/", views.pay_order, name="pay"),
    path("orders/<uuid:reference>/withdraw/", views.withdraw_order, name="withdraw"),
]
